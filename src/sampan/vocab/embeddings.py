"""New embedding rows for new tokens, streamed through the safetensors files; every old value stays bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..model.checkpoint import WEIGHTS, check_folder, read_config
from ..model.tensors import FLOATS, TensorFolder, TensorPlan, TensorWriter
from .init import INITS
from .initialisation import NewTokens, Settings, Side, Table, moments, subword_mean

_INPUTS = ("embed_tokens.weight", "wte.weight", "embed_in.weight")
_OUTPUTS = ("lm_head.weight", "embed_out.weight")
_BIASES = ("lm_head.bias",)
_BLOCK = 1 << 20


def embedding_rows(folder: Path) -> int:
    """Rows V of the checkpoint's embedding, from its config."""
    config = read_config(folder)
    rows = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    if not isinstance(rows, int):
        raise InputError("config.json names no vocab_size", where=str(folder))
    return rows


def grow_checkpoint(
    source: Path, out: Path, new: NewTokens, *, init: str, noise: float = 0.0, settings: Settings | None = None
) -> dict[str, Any]:
    """Copy a checkpoint into `out` with rows for `new` filled by the method `init`; returns facts.

    Input and output matrix are filled apart, and one tied matrix once. `noise` is added as a share of the old matrix's
    standard deviation. Only one matrix is held at a time (distillation holds the model). InputError if no matrix of
    `new.first` rows is found, or if its numbers are not finite.
    """
    check_folder(source)
    settings = settings or Settings()
    method = INITS.load(init)
    with TensorFolder(source) as tensors:
        sides = _sides(tensors, new.first)
        if not {"input", "tied"} & set(sides.values()):
            raise InputError(f"no embedding of {new.first} rows among the weights", where=str(source))
        prepared = method.prepare(new, settings)
        plan = [_plan(tensors, name, new.rows if name in sides else 0) for name in tensors]
        writer = TensorWriter(out, plan, shard_bytes=_shard_bytes(source, tensors))
        try:
            for name in tensors:
                if name not in sides:
                    writer.write(name, tensors.read_bytes(name))
                    continue
                # The number in the list, not the name, so that a matrix draws alike in differently named models.
                seed = (settings.seed, list(sides).index(name))
                _write_table(writer, tensors, name, sides[name], new, noise, seed, lambda t: method.rows(t, prepared))
            writer.close()
        except BaseException:
            writer.abandon()
            raise
    _copy_settings(source, out, new.rows)
    return {"parameters": sum(int(np.prod(item.shape)) for item in plan), "embedding_matrices": len(sides)}


def _sides(tensors: TensorFolder, rows: int) -> dict[str, Side | None]:
    """The tensors that grow, by name, and which side each is; None for a bias."""
    tables = [name for name in tensors if name.endswith((*_INPUTS, *_OUTPUTS)) and tensors[name].shape[0] == rows]
    tied = not any(name.endswith(_OUTPUTS) for name in tables)
    sides: dict[str, Side | None] = {
        name: "output" if name.endswith(_OUTPUTS) else "tied" if tied else "input" for name in tables
    }
    return sides | {name: None for name in tensors if name.endswith(_BIASES) and tensors[name].shape[0] == rows}


def _plan(tensors: TensorFolder, name: str, rows: int) -> TensorPlan:
    info = tensors[name]
    return TensorPlan(name, info.dtype, (rows, *info.shape[1:]) if rows else info.shape)


def _shard_bytes(source: Path, tensors: TensorFolder) -> int:
    """Shards about as large as the source's, so that what loaded in pieces still does."""
    if (source / WEIGHTS[0]).is_file():
        return 1 << 62
    sizes: dict[int, int] = {}
    for info in tensors.values():
        sizes[info.file] = sizes.get(info.file, 0) + info.num_bytes
    return max(sizes.values())


def _write_table(
    writer: TensorWriter,
    tensors: TensorFolder,
    name: str,
    side: Side | None,
    new: NewTokens,
    noise: float,
    seed: tuple[int, int],
    fill: Callable[[Table], np.ndarray],
) -> None:
    """Old rows as they are, but for those that new ones are written over, then the other new ones. A bias gets the
    mean of the parts' biases, whatever the method."""
    info = tensors[name]
    if info.dtype not in FLOATS.values():
        raise InputError(f"tensor '{name}' is {info.dtype}, which cannot grow", where=str(tensors.folder))
    old = np.empty(info.size, np.float32)
    for start in range(0, info.size, _BLOCK):
        block = old[start : start + _BLOCK] = tensors.read_flat(name, start, min(start + _BLOCK, info.size))
        if not np.isfinite(block).all():
            raise InputError(f"tensor '{name}' holds numbers that are not finite", where=str(tensors.folder))
    if not new.parts:
        _write_blocks(writer, name, old)
        return
    old_VD = old.reshape(info.shape[0], -1)
    table = Table(old_VD=old_VD, side=side or "output", new=new, seed=seed)
    rows_ND = fill(table) if side else subword_mean(table)
    if noise:
        centre_D, spread_D = moments(old_VD)
        deviation = np.sqrt(np.mean(spread_D**2) + np.var(centre_D))  # of all the matrix's numbers
        draw = np.random.default_rng([*seed, 1])  # not the stream that random rows were drawn from
        rows_ND = rows_ND + np.float32(noise) * deviation * draw.standard_normal(rows_ND.shape, np.float32)
    fresh = new.rows - new.first
    old_VD[list(new.places)] = rows_ND[fresh:]
    _write_blocks(writer, name, old)
    _write_blocks(writer, name, rows_ND[:fresh].astype(np.float32).reshape(-1))


def _write_blocks(writer: TensorWriter, name: str, flat: np.ndarray) -> None:
    for start in range(0, len(flat), _BLOCK):
        writer.write(name, flat[start : start + _BLOCK])


def _copy_settings(source: Path, out: Path, size: int) -> None:
    """config.json with the new vocab_size, generation_config as it is."""
    config = read_config(source)
    for part in (config, config.get("text_config")):
        if isinstance(part, dict) and "vocab_size" in part:
            part["vocab_size"] = size
    (out / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
    if (source / "generation_config.json").is_file():
        shutil.copyfile(source / "generation_config.json", out / "generation_config.json")
