"""TokenShards: token ids of documents end to end in one memory-mapped array, with a loss mask and an index."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..core.errors import InputError
from ..core.stage import Artifact

FORMAT = "token-shards/1"
COUNTS = ("documents", "tokens", "trained_tokens", "text_bytes")
"""What the index counts, over all and by stream."""
_PIECES = 1024
"""Pieces of memory that the system writes in one call."""


class TokenWriter:
    """Appends documents' ids; one stream name (such as a language) per document.

    Files: `ids.bin` (uint16 or uint32 by vocabulary), `mask.bin` (uint8, 1 where the token is trained; only when some
    token is not), `offsets.bin` (int64, documents + 1), `streams.bin` (uint16 per document), `index.json`.
    """

    def __init__(self, folder: Path, *, vocab_size: int, tokenizer_digest: str) -> None:
        self._folder, self._dtype = folder, id_dtype(vocab_size)
        self._meta = {
            "format": FORMAT,
            "vocab_size": vocab_size,
            "tokenizer_digest": tokenizer_digest,
            "dtype": self._dtype.name,
        }
        self._ids, self._mask = open(folder / "ids.bin", "wb"), None
        self._tokens = 0
        self._lengths: list[np.ndarray] = []
        self._streams: list[np.ndarray] = []
        self._names: dict[str, int] = {}
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def write(
        self,
        ids: list[int] | np.ndarray,
        *,
        stream: str,
        text_bytes: int = 0,
        mask: list[int] | np.ndarray | None = None,
    ) -> None:
        """Add one document. `mask` (same length, 0/1) None means every token is trained."""
        array = np.asarray(ids, dtype=self._dtype)
        flags = None if mask is None else np.asarray(mask, np.uint8)
        if flags is not None and len(flags) != len(array):
            raise ValueError(f"{len(array)} ids but {len(flags)} mask flags")
        one = np.zeros(1, np.int64)
        self._ids.write(np.ascontiguousarray(array).data)
        self._count(one + len(array), flags, [stream], one, one + text_bytes)

    def write_batch(
        self,
        ids_N: np.ndarray,
        lengths_D: np.ndarray,
        *,
        streams: Sequence[str],
        stream_D: np.ndarray,
        bytes_D: np.ndarray,
        head: Sequence[int] = (),
        tail: Sequence[int] = (),
    ) -> None:
        """Add D documents of which every token is trained: their ids end to end, each one's length, stream (a place in
        `streams`) and UTF-8 bytes. Each begins with the ids of `head` and ends with those of `tail`, which are not in
        `ids_N`. The same as `write` on each, in a few calls."""
        if len(ids_N) != lengths_D.sum():
            raise ValueError(f"{len(ids_N)} ids for documents of {lengths_D.sum()}")
        ids_N = np.ascontiguousarray(ids_N, self._dtype)
        ends = [np.asarray(ids, self._dtype) for ids in (head, tail)]
        if more := sum(map(len, ends)):
            lengths_D = lengths_D + more
            _write_between(self._ids, ids_N, lengths_D - more, *ends)
        else:
            self._ids.write(ids_N.data)
        self._count(lengths_D, None, streams, stream_D, bytes_D)

    def _count(
        self,
        lengths_D: np.ndarray,
        mask_N: np.ndarray | None,
        streams: Sequence[str],
        stream_D: np.ndarray,
        bytes_D: np.ndarray,
    ) -> None:
        """Everything but the ids of documents of these lengths."""
        size = int(lengths_D.sum())
        if mask_N is not None and not mask_N.all() and self._mask is None:
            self._mask = open(self._folder / "mask.bin", "wb")
            write_ones(self._mask, self._tokens)
        if self._mask is not None:
            self._mask.write((np.ones(size, np.uint8) if mask_N is None else np.ascontiguousarray(mask_N)).data)
        untrained = 0 if mask_N is None else int((mask_N == 0).sum())  # `write` alone gives a mask, of one document
        self._tokens += size
        self._lengths.append(np.asarray(lengths_D, np.int64))
        found_U, first_U = np.unique(stream_D, return_index=True)
        place = np.zeros(len(streams), np.uint16)
        for local in found_U[np.argsort(first_U)].tolist():
            name, here_D = streams[local], stream_D == local
            place[local] = self._names.setdefault(name, len(self._names))
            tokens = int(lengths_D[here_D].sum())
            self._counts[name].update(
                documents=int(here_D.sum()),
                tokens=tokens,
                trained_tokens=tokens - untrained,
                text_bytes=int(bytes_D[here_D].sum()),
            )
        self._streams.append(place[stream_D])

    def close(self) -> dict[str, Any]:
        """Write the index; returns it."""
        self._ids.close()
        if self._mask is not None:
            self._mask.close()
        ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *self._lengths]))
        ends.tofile(self._folder / "offsets.bin")
        np.concatenate([np.zeros(0, np.uint16), *self._streams]).tofile(self._folder / "streams.bin")
        return write_index(self._folder, self._meta, list(self._names), self._counts)


def _write_between(
    file: BinaryIO, ids_N: np.ndarray, lengths_D: np.ndarray, head: np.ndarray, tail: np.ndarray
) -> None:
    """Write each document's ids between `head` and `tail`, without putting them together in memory first."""
    ids, between = memoryview(ids_N.view(np.uint8)), tail.tobytes() + head.tobytes()
    pieces: list[Any] = [head.tobytes()]
    start = 0
    for end in (np.cumsum(lengths_D) * ids_N.itemsize).tolist():
        pieces += (ids[start:end], between)
        start = end
    pieces[-1] = tail.tobytes() if len(lengths_D) else b""
    if not hasattr(os, "writev"):
        file.write(b"".join(pieces))
        return
    file.flush()
    for first in range(0, len(pieces), _PIECES):
        some = pieces[first : first + _PIECES]
        written, size = os.writev(file.fileno(), some), sum(map(len, some))
        if written < size:  # the system takes at most 2 GiB at once
            file.write(b"".join(some)[written:])
            file.flush()


def id_dtype(vocab_size: int) -> np.dtype:
    """The integers that ids below `vocab_size` are kept in."""
    return np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)


def write_ones(file: BinaryIO, count: int) -> None:
    """`count` bytes of 1: the mask of tokens that are all trained."""
    block = b"\1" * min(count, 1 << 20)
    for start in range(0, count, 1 << 20):
        file.write(block[: count - start])


def write_index(
    folder: Path, meta: Mapping[str, Any], streams: Sequence[str], by_stream: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """Write `index.json` of the streams in order of their numbers and the counts of each; returns it."""
    total = sum(map(Counter, by_stream.values()), Counter())
    index = {
        **meta,
        **{name: total[name] for name in COUNTS},
        "streams": list(streams),
        "by_stream": {name: dict(counts) for name, counts in sorted(by_stream.items())},
    }
    (folder / "index.json").write_text(json.dumps(index, indent=1, sort_keys=True), encoding="utf-8")
    return index


@dataclass(frozen=True)
class TokenShards:
    """A read view: `ids` [N], `mask` [N] or None, `offsets` [D+1], `streams` [D] indexes into `stream_names`."""

    ids: np.ndarray
    mask: np.ndarray | None
    offsets: np.ndarray
    streams: np.ndarray
    stream_names: list[str]
    index: dict[str, Any]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def document(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids [T] (int64) and mask [T] (uint8) of one document."""
        span = slice(self.offsets[number], self.offsets[number + 1])
        ids = self.ids[span].astype(np.int64)
        return ids, (np.ones(len(ids), np.uint8) if self.mask is None else np.asarray(self.mask[span]))


def read_tokens(source: Artifact | Path) -> TokenShards:
    """Open shards without reading them into memory; InputError if the folder is not TokenShards or is cut short."""
    folder = source.path if isinstance(source, Artifact) else source
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        raise InputError(
            "not a folder of token shards (no index.json)",
            where=str(folder),
            how="Make one with the stage corpus.pack.",
        ) from None
    if index.get("format") != FORMAT:
        raise InputError(f"format {index.get('format')} is not {FORMAT}", where=str(folder / "index.json"))
    dtype = np.dtype(index["dtype"])
    if (folder / "ids.bin").stat().st_size != index["tokens"] * dtype.itemsize:
        raise InputError("ids.bin is not as long as index.json says", where=str(folder), how="Build it again.")
    ids = np.memmap(folder / "ids.bin", dtype, "r") if index["tokens"] else np.empty(0, dtype)
    masked = (folder / "mask.bin").exists()
    return TokenShards(
        ids=ids,
        mask=np.memmap(folder / "mask.bin", np.uint8, "r") if masked and index["tokens"] else None,
        offsets=np.fromfile(folder / "offsets.bin", np.int64),
        streams=np.fromfile(folder / "streams.bin", np.uint16),
        stream_names=index["streams"],
        index=index,
    )
