"""New embedding rows for new tokens, edited straight in the safetensors files; every old value stays bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError
from ..model.checkpoint import WEIGHTS, check_folder, read_config

if TYPE_CHECKING:
    import torch

_TABLES = ("embed_tokens.weight", "lm_head.weight", "wte.weight", "embed_in.weight", "embed_out.weight", "lm_head.bias")
_BLOCK = 4096


def embedding_rows(folder: Path) -> int:
    """Rows V of the checkpoint's embedding, from its config."""
    config = read_config(folder)
    rows = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    if not isinstance(rows, int):
        raise InputError("config.json names no vocab_size", where=str(folder))
    return rows


def grow_checkpoint(
    source: Path, out: Path, parts: Mapping[int, Sequence[int]], size: int, *, init: str, noise: float, seed: int
) -> dict[str, Any]:
    """Copy a checkpoint into `out` with embeddings of `size` rows; returns facts.

    `parts` maps each new id to the old ids its text used to be spelled with. With `init` = mean_subword its row is
    the mean of their rows, in input and output matrix separately (computed in float32), or the mean of all old rows
    if there are none; with `random`, a draw from a normal with the old rows' mean and deviation per column. `noise`
    is added as a share of the old matrix's standard deviation. InputError if a matrix is not found.
    """
    from safetensors.torch import load_file, save_file

    check_folder(source)
    rows = embedding_rows(source)
    files = sorted(file.name for file in source.glob("model*.safetensors"))
    grown, parameters, total = [], 0, 0
    for name in files:
        tensors = load_file(source / name)
        for key, tensor in tensors.items():
            if key.endswith(_TABLES) and tensor.shape[0] == rows:
                salt = seed * 1000 + len(grown)
                tensors[key] = _grow(tensor, parts, size, init=init, noise=noise, seed=salt)
                grown.append(key)
            parameters += tensors[key].numel()
            total += tensors[key].numel() * tensors[key].element_size()
        save_file(tensors, out / name, metadata={"format": "pt"})
    if not any("embed" in key or "wte" in key for key in grown):
        raise InputError(f"no embedding of {rows} rows among the weights", where=str(source))
    _copy_settings(source, out, size, total)
    return {"parameters": parameters, "embedding_matrices": len(grown)}


def _grow(
    old_VD: torch.Tensor, parts: Mapping[int, Sequence[int]], size: int, *, init: str, noise: float, seed: int
) -> torch.Tensor:
    """The matrix (or bias vector) with rows V … size − 1 added."""
    import torch

    rows = old_VD.shape[0]
    draw = torch.Generator().manual_seed(seed)
    new = torch.empty(size, *old_VD.shape[1:], dtype=old_VD.dtype)
    new[:rows] = old_VD
    exact = old_VD.float()
    centre, spread, deviation = exact.mean(0), exact.std(0), exact.std()
    for number in range(rows, size):
        if init == "random":
            row = centre + spread * torch.randn(centre.shape, generator=draw)
        else:
            spelled = list(parts.get(number, ()))
            row = exact[spelled].mean(0) if spelled else centre
        if noise:
            row = row + noise * deviation * torch.randn(row.shape, generator=draw)
        new[number] = row.to(new.dtype)
    return new


def _copy_settings(source: Path, out: Path, size: int, total: int) -> None:
    """config.json with the new vocab_size, the shards' index with the new total, generation_config as it is."""
    config = read_config(source)
    for part in (config, config.get("text_config")):
        if isinstance(part, dict) and "vocab_size" in part:
            part["vocab_size"] = size
    (out / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
    if (source / "generation_config.json").is_file():
        shutil.copyfile(source / "generation_config.json", out / "generation_config.json")
    index = source / WEIGHTS[1]
    if index.is_file():
        table = json.loads(index.read_text(encoding="utf-8"))
        table.setdefault("metadata", {})["total_size"] = total
        (out / WEIGHTS[1]).write_text(json.dumps(table, indent=2), encoding="utf-8")


def spelled_before(growth: Any) -> dict[int, list[int]]:
    """Each new id to the ids of the base tokenizer's segmentation of its text ([] for reserved tokens)."""
    return {
        number: [token.id for token in growth.base_tokenizer.model.tokenize(name)] if name in growth.language_of else []
        for name, number in growth.new_ids().items()
    }
