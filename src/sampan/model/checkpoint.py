"""Checkpoints on disk: a Hugging Face folder with safetensors, config, tokenizer and chat template."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError
from .tokenizer import copy_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def check_folder(folder: Path) -> None:
    """InputError unless `folder` is a Hugging Face causal LM with safetensors weights."""
    if not (folder / "config.json").is_file():
        raise InputError("no config.json: not a Hugging Face model folder", where=str(folder))
    if any((folder / name).is_file() for name in WEIGHTS):
        return
    if any(file for pattern in PICKLES for file in folder.glob(pattern)):
        raise InputError(
            "the weights are pickled, and unpickling can run any code",
            where=str(folder),
            how="Convert them to safetensors where you trust them, then give that folder.",
        )
    raise InputError(f"no weights ({' or '.join(WEIGHTS)})", where=str(folder))


def read_config(folder: Path) -> dict[str, Any]:
    """The model's config.json as it is."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def read_index(folder: Path) -> dict[str, tuple[str, list[int]]]:
    """File and shape of every tensor by its name, from the files' headers alone."""
    from safetensors import safe_open

    index = folder / WEIGHTS[1]
    if (folder / WEIGHTS[0]).is_file():
        names = [WEIGHTS[0]]
    else:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    found = {}
    for name in names:
        with safe_open(folder / name, "pt") as file:
            found |= {key: (name, file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    return found


def load_model(folder: Path, *, dtype: str = "float32", device: str = "cpu") -> PreTrainedModel:
    """The model in eval mode, weights in `dtype` (float32, bfloat16); offline, no remote code, safetensors only."""
    check_folder(folder)
    with _uncollected():
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        given = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
        try:
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), **given)
        except (ValueError, OSError, RuntimeError, SafetensorError) as error:
            raise InputError(f"the model does not load ({str(error)[:300]})", where=str(folder)) from error
    return model.to(device).eval()


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage: importing a model's code makes half a million objects that all stay, and looking through
    them again and again takes half a second."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def save_model(model: PreTrainedModel, folder: Path, *, tokenizer_from: Path | None = None) -> dict[str, int]:
    """Write config and safetensors into `folder`, and the tokenizer's files beside them; returns its facts."""
    model.config._name_or_path = ""  # a path must not become part of the bytes
    model.save_pretrained(folder, safe_serialization=True)
    if tokenizer_from is not None:
        copy_tokenizer(tokenizer_from, folder)
    return {"parameters": count_parameters(model)}


def count_parameters(model: PreTrainedModel) -> int:
    """Parameters, tied ones once."""
    return sum({id(p): p.numel() for p in model.parameters()}.values())
