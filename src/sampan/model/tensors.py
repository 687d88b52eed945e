"""Tensors of a Hugging Face folder without torch: read safetensors in pieces as float32, write them as a stream.

A safetensors file is 8 bytes of header length, a JSON header ({name: dtype, shape, data_offsets}) and the tensors'
bytes, little-endian and row-major. Reading is `pread` of exactly the elements asked for (so memory does not grow with
the model and threads may share a reader); writing lays out every shard first, because shapes and dtypes are known.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOATS = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
"""The float dtypes read and written here: name in a config to name in a safetensors header."""
_RAW = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8}
_BITS |= {"U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "C64": 64}
_MAX_HEADER = 100_000_000


@dataclass(frozen=True)
class TensorInfo:
    """One tensor's place: `offset` is where its bytes start in the file number `file` of its folder."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: int
    offset: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        return tensor_bytes(self.dtype, self.shape)


def tensor_bytes(dtype: str, shape: Sequence[int]) -> int:
    """Bytes of a tensor whose safetensors dtype is `dtype`."""
    return math.prod(shape) * _BITS[dtype] // 8


class TensorFolder(Mapping[str, TensorInfo]):
    """The tensors of a model folder by name, sorted; `with TensorFolder(path) as tensors: tensors.read(name)`.

    Takes `model.safetensors`, or the shards named by `model.safetensors.index.json`. InputError if a file is missing,
    damaged, points outside the folder or holds a dtype unknown to us.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._files: list[int] = []
        self._infos: dict[str, TensorInfo] = {}
        try:
            shards, weight_map = _shards(self.folder)
            for shard in shards:
                self._open(self.folder / shard)
            self._check_index(shards, weight_map)
        except BaseException:
            self.close()
            raise
        self._infos = dict(sorted(self._infos.items()))

    def _open(self, path: Path) -> None:
        try:
            self._files.append(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)))
        except OSError as error:
            raise InputError(
                f"the shard cannot be opened ({error.strerror})", where=str(path), how="Fetch the model folder again."
            ) from None
        for info in _header(self._files[-1], path, len(self._files) - 1):
            if info.name in self._infos:
                raise InputError(f"tensor '{info.name}' is in two shards", where=str(self.folder))
            self._infos[info.name] = info

    def _check_index(self, shards: Sequence[str], weight_map: Mapping[str, str]) -> None:
        for name, shard in weight_map.items():
            if name not in self._infos or shards[self._infos[name].file] != shard:
                raise InputError(
                    f"{INDEX} places tensor '{name}' in {shard}, which does not hold it",
                    where=str(self.folder),
                    how="The index and the shards are of different models; fetch the folder again.",
                )

    def __getitem__(self, name: str) -> TensorInfo:
        return self._infos[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def __enter__(self) -> TensorFolder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        while self._files:
            os.close(self._files.pop())

    def read(self, name: str) -> np.ndarray:
        """The whole tensor as float32 in its shape."""
        return self.read_flat(name).reshape(self[name].shape)

    def read_flat(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Elements [start, stop) of the flattened tensor as float32. Safe to call from several threads."""
        info = self[name]
        if info.dtype not in _RAW:
            raise InputError(
                f"tensor '{name}' is {info.dtype}; only float32, float16 and bfloat16 can be read as numbers",
                where=str(self.folder),
                how="Convert the model to bfloat16 first.",
            )
        raw = np.empty((info.size if stop is None else stop) - start, _RAW[info.dtype])
        self.read_raw(name, start, raw)
        return decode(raw, info.dtype)

    def read_raw(self, name: str, start: int, raw: np.ndarray) -> None:
        """Fill `raw` with the elements from `start` on as they are stored (BF16 as uint16)."""
        if raw.size:
            self._fill(self[name], start * raw.itemsize, memoryview(raw).cast("B"))

    def read_bytes(self, name: str) -> bytes:
        """The tensor's bytes as they are in the file, whatever its dtype."""
        info, data = self[name], bytearray(self[name].num_bytes)
        self._fill(info, 0, memoryview(data))
        return bytes(data)

    def _fill(self, info: TensorInfo, skip: int, view: memoryview) -> None:
        position, got = info.offset + skip, 0
        while got < len(view):
            count = _read_into(self._files[info.file], view[got : got + (1 << 26)], position + got)
            if not count:
                raise InputError(f"the file ends inside tensor '{info.name}'", where=str(self.folder))
            got += count


def _read_into(file: int, view: memoryview, position: int) -> int:
    """Read what is at `position` into `view`; returns how many bytes came."""
    if hasattr(os, "preadv"):
        return os.preadv(file, [view], position)
    data = os.pread(file, len(view), position)
    view[: len(data)] = data
    return len(data)


@dataclass(frozen=True)
class FlatTensor:
    """One flattened tensor of an open folder: `tensor(start, stop)` reads elements as float32."""

    folder: TensorFolder
    name: str

    def __call__(self, start: int, stop: int) -> np.ndarray:
        return self.folder.read_flat(self.name, start, stop)

    @property
    def dtype(self) -> str:
        """The safetensors dtype it is stored in."""
        return self.folder[self.name].dtype

    def raw(self, start: int, raw: np.ndarray) -> None:
        """Fill `raw` with its stored elements from `start` on."""
        self.folder.read_raw(self.name, start, raw)


def _shards(folder: Path) -> tuple[list[str], dict[str, str]]:
    """File names of the shards, sorted, and the index's weight map ({} for a single file)."""
    if (folder / SINGLE).is_file():
        return [SINGLE], {}
    if not (folder / INDEX).is_file():
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        raise InputError(
            f"there is no {SINGLE} and no {INDEX} in this folder",
            where=str(folder),
            how="It holds pickled weights, which are not read because loading them can run code; convert them to "
            "safetensors."
            if pickled
            else "Give a Hugging Face model folder.",
        )
    try:
        weight_map = json.loads((folder / INDEX).read_text("utf-8"))["weight_map"]
        names = sorted(set(weight_map.values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{INDEX} is not a safetensors index", where=str(folder)) from None
    for name in names:
        if not isinstance(name, str) or name in ("", ".", "..") or any(c in name for c in "/\\:\0"):
            raise InputError(f"{INDEX} names the shard {name!r}, which is not a plain file name", where=str(folder))
    return names, weight_map


def _header(file: int, path: Path, number: int) -> list[TensorInfo]:
    """Parse and check one file's header: known dtypes, offsets that fit shapes and lie inside the file."""
    total = os.fstat(file).st_size
    start = os.pread(file, 8, 0)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(_MAX_HEADER, total - 8):
        lfs = start == b"version "
        how = "It is a Git LFS pointer; run `git lfs pull`." if lfs else "It is damaged or cut short; fetch it again."
        raise InputError("this is not a safetensors file", where=str(path), how=how)
    try:
        header = json.loads(os.pread(file, length, 8))
        header.pop("__metadata__", None)
        infos = []
        for name, item in header.items():
            begin, end = item["data_offsets"]
            shape = tuple(int(side) for side in item["shape"])
            infos.append(TensorInfo(name, item["dtype"], shape, number, 8 + length + begin))
            if item["dtype"] not in _BITS:
                raise InputError(f"tensor '{name}' has the unknown dtype {item['dtype']}", where=str(path))
            if begin < 0 or min(shape, default=1) < 0 or end - begin != infos[-1].num_bytes:
                raise InputError(f"the header gives tensor '{name}' a wrong number of bytes", where=str(path))
            if 8 + length + end > total:
                raise InputError(
                    f"the file ends {8 + length + end - total} bytes before the end of tensor '{name}'",
                    where=str(path),
                    how="The download was cut short; fetch it again.",
                )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError("the safetensors header is damaged", where=str(path), how="Fetch the file again.") from None
    return infos


def decode(raw: np.ndarray, dtype: str) -> np.ndarray:
    """Raw elements of a float dtype (BF16 as uint16) to a new or the same float32 array. Exact."""
    if dtype == "BF16":
        wide = raw.astype(np.uint32)
        wide <<= np.uint32(16)
        return wide.view(np.float32)
    return raw.astype(np.float32, copy=False)


def encode(values: np.ndarray, dtype: str) -> np.ndarray:
    """float32 to raw elements of a float dtype (BF16 as uint16), rounding to nearest, ties to even."""
    if dtype == "BF16":
        return bf16_bits(values)
    with np.errstate(over="ignore"):
        return values.astype(_RAW[dtype], copy=False)


def bf16_bits(values: np.ndarray) -> np.ndarray:
    """bfloat16 bit patterns (uint16) of float32 values: round to nearest, ties to even; NaN stays NaN (0x7fc0)."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = bits >> np.uint32(16)
    rounded &= np.uint32(1)
    rounded += np.uint32(0x7FFF)
    rounded += bits  # a NaN with a full mantissa would wrap around here, hence the repair below
    rounded >>= np.uint32(16)
    out = rounded.astype(np.uint16)
    nan = np.isnan(values)
    if nan.any():
        out[nan] = 0x7FC0
    return out


@dataclass(frozen=True)
class TensorPlan:
    """A tensor to write: its name, safetensors dtype and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        return tensor_bytes(self.dtype, self.shape)


class TensorWriter:
    """Writes planned tensors in plan order, in pieces of any length, into one file or shards of at most `shard_bytes`.

    Every shard is created at its full size before any tensor is written, so a full disk shows at once. `done` tensors
    are taken as already written by an earlier writer with the same plan, which was killed after `sync`.
    """

    def __init__(
        self, folder: Path, plan: Sequence[TensorPlan], *, shard_bytes: int = 5_000_000_000, done: int = 0
    ) -> None:
        self.folder, self.plan, self._at, self._left = Path(folder), list(plan), done, 0
        if len({item.name for item in self.plan}) != len(self.plan):
            raise ValueError("a tensor is planned twice")
        groups = _group(self.plan, shard_bytes)
        count = len(groups)
        self._names = [SINGLE] if count == 1 else [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
        self._place: list[tuple[int, int]] = []
        self._files = [self._create(i, group, fresh=done == 0) for i, group in enumerate(groups)]
        self._left = self.plan[done].num_bytes if done < len(self.plan) else 0

    def _create(self, number: int, group: Sequence[TensorPlan], *, fresh: bool):
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        offset = 0
        for item in group:
            end = offset + item.num_bytes
            header[item.name] = {"dtype": item.dtype, "shape": list(item.shape), "data_offsets": [offset, end]}
            self._place.append((number, offset))
            offset = end
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        first = len(self._place) - len(group)
        self._place[first:] = [(number, 8 + len(text) + start) for _, start in self._place[first:]]
        path = self.folder / self._names[number]
        file = open(path, "wb" if fresh else "r+b")
        if fresh:
            file.write(len(text).to_bytes(8, "little") + text)
            _allocate(file, 8 + len(text) + offset)
        return file

    def write(self, name: str, values: np.ndarray | bytes) -> None:
        """Append float32 `values` (any shape), what `encode` made of them, or raw bytes to the current tensor."""
        item = self.plan[self._at] if self._at < len(self.plan) else None
        if item is None or item.name != name:
            raise ValueError(f"tensor '{name}' is not the next in the plan ({item.name if item else 'nothing'})")
        data = values if isinstance(values, bytes) else _bytes_of(values, item.dtype)
        if len(data) > self._left:
            raise ValueError(f"{len(data)} bytes given for '{name}', which has room for {self._left}")
        number, offset = self._place[self._at]
        self._files[number].seek(offset + item.num_bytes - self._left)
        self._files[number].write(data)
        self._left -= len(data)
        if self._left == 0:
            self._at += 1
            self._left = self.plan[self._at].num_bytes if self._at < len(self.plan) else 0

    @property
    def done(self) -> int:
        """How many tensors are complete."""
        return self._at

    def sync(self) -> None:
        """Make everything written so far survive a power cut."""
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> list[str]:
        """Check that every tensor is complete, write the index if there are shards; returns the file names."""
        if self._at < len(self.plan):
            raise ValueError(f"tensor '{self.plan[self._at].name}' is not complete")
        self.abandon()
        if len(self._names) == 1:
            return list(self._names)
        weight_map = {item.name: self._names[number] for item, (number, _) in zip(self.plan, self._place, strict=True)}
        index = {"metadata": {"total_size": sum(item.num_bytes for item in self.plan)}, "weight_map": weight_map}
        (self.folder / INDEX).write_text(json.dumps(index, indent=2, ensure_ascii=False) + "\n", "utf-8")
        return [*self._names, INDEX]

    def abandon(self) -> None:
        """Close the files, leaving what is there."""
        for file in self._files:
            file.close()


def _bytes_of(values: np.ndarray, dtype: str) -> memoryview | bytes:
    flat = np.ascontiguousarray(values).ravel()
    raw = flat if flat.dtype == _RAW.get(dtype) else encode(flat, dtype)
    return memoryview(raw).cast("B") if raw.size else b""


def _group(plan: Sequence[TensorPlan], shard_bytes: int) -> list[list[TensorPlan]]:
    """Split the plan, in order, into shards of at most `shard_bytes` (a larger tensor gets a shard of its own)."""
    groups: list[list[TensorPlan]] = [[]]
    filled = 0
    for item in plan:
        if groups[-1] and filled + item.num_bytes > shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(item)
        filled += item.num_bytes
    return groups


def _allocate(file: Any, size: int) -> None:
    file.flush()
    if hasattr(os, "posix_fallocate") and size:
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)
