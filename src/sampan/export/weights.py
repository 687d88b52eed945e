"""A checkpoint's safetensors, read one tensor at a time and checked against what its config builds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, StageError
from ..model.checkpoint import check_folder, read_config

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_BUFFERS = (".rotary_emb.inv_freq", ".masked_bias", ".attn.bias")
DTYPES = ("float32", "float16", "bfloat16")


class Weights:
    """The tensors of a Hugging Face folder by name. `shards` maps each file to the names in it, both in order."""

    def __init__(self, folder: Path) -> None:
        check_folder(folder)
        self.folder = folder
        self.shards = _shards(folder)
        self.names = [name for names in self.shards.values() for name in names]

    def tensors(self) -> Iterator[tuple[str, str, torch.Tensor]]:
        """(file, name, tensor) of every tensor, one in memory at a time."""
        for file, names in self.shards.items():
            with _open(self.folder / file) as opened:
                for name in names:
                    yield file, name, opened.get_tensor(name)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name to shape, from the headers alone."""
        found = {}
        for file, names in self.shards.items():
            with _open(self.folder / file) as opened:
                found |= {name: tuple(opened.get_slice(name).get_shape()) for name in names}
        return found

    def check(self, progress: Callable[[int, int, str], None]) -> dict[str, Any]:
        """Compare names and shapes with the config's model and look for NaN and infinity; returns parameters, dtypes.

        StageError if a tensor is missing, unknown, misshapen or not finite.
        """
        import torch

        _compare(self.shapes(), _expected(self.folder), self.folder)
        parameters, dtypes = 0, set()
        for number, (_, name, tensor) in enumerate(self.tensors()):
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise StageError(
                    f"tensor {name} holds NaN or infinity",
                    where=str(self.folder),
                    how="The step that made this model diverged: look at its loss before exporting.",
                )
            parameters += tensor.numel()
            dtypes.add(str(tensor.dtype).removeprefix("torch."))
            progress(number + 1, len(self.names), "tensors")
        return {"parameters": parameters, "tensors": len(self.names), "dtypes": sorted(dtypes)}


def converted(tensor: torch.Tensor, dtype: str, name: str) -> torch.Tensor:
    """The tensor in `dtype` (one of DTYPES, or `keep`); StageError if a finite value does not fit float16."""
    import torch

    if dtype == "keep" or not tensor.is_floating_point():
        return tensor
    out = tensor.to(getattr(torch, dtype))
    if dtype == "float16" and not bool(torch.isfinite(out).all()):
        raise StageError(f"tensor {name} has values beyond float16's range", how="Export as bfloat16 or float32.")
    return out


def _open(path: Path):
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise InputError(f"not a readable safetensors file ({error})", where=str(path), how="Fetch it again.") from None


def _shards(folder: Path) -> dict[str, list[str]]:
    files = [SINGLE]
    placed: dict[str, str] = {}
    if (folder / INDEX).is_file():
        placed = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        files = sorted(set(placed.values()))
    found = {}
    for file in files:
        if Path(file).name != file or not (folder / file).is_file():
            raise InputError(f"{INDEX} names the file '{file}', which is not in the folder", where=str(folder))
        with _open(folder / file) as opened:
            found[file] = sorted(opened.keys())
    here = {name: file for file, names in found.items() for name in names}
    if placed and here != placed:
        wrong = sorted(set(here.items()) ^ set(placed.items()))[0][0]
        raise InputError(f"{INDEX} and the files disagree about tensor '{wrong}'", where=str(folder))
    return found


def _expected(folder: Path) -> tuple[dict[str, tuple[int, ...]], set[str]]:
    """Name to shape of the model that the config builds (without memory for it), and the names that may be tied."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if read_config(folder).get("auto_map"):
        raise InputError("the config asks for remote code (auto_map), which is never run", where=str(folder))
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"the config builds no causal LM ({str(error)[:300]})", where=str(folder)) from error
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return shapes, set(model.all_tied_weights_keys or ())


def _compare(
    have: dict[str, tuple[int, ...]], expected: tuple[dict[str, tuple[int, ...]], set[str]], folder: Path
) -> None:
    want, tied = expected
    missing = sorted(set(want) - set(have) - tied)
    unknown = sorted(name for name in set(have) - set(want) if not name.endswith(_BUFFERS))
    if missing or unknown:
        says = [
            f"{len(names)} {what}, first '{names[0]}'"
            for what, names in (("missing", missing), ("unknown", unknown))
            if names
        ]
        raise StageError(f"the tensors are not those of the config's model: {'; '.join(says)}", where=str(folder))
    for name in sorted(set(have) & set(want)):
        if have[name] != want[name]:
            raise StageError(f"tensor {name} is {have[name]}, the config says {want[name]}", where=str(folder))


def check_vocabulary(tokenizer: PreTrainedTokenizerFast, weights: Weights) -> None:
    """StageError if the tokenizer can give an id that has no row in the embedding."""
    rows = next((shape[0] for name, shape in weights.shapes().items() if name.endswith("embed_tokens.weight")), None)
    if rows is not None and len(tokenizer) > rows:
        raise StageError(
            f"the tokenizer has {len(tokenizer)} tokens and the embedding {rows} rows",
            where=str(weights.folder),
            how="The model needs the tokenizer it was trained with: see vocab.expand.",
        )
