"""LoRA (arXiv:2106.09685) and DoRA (arXiv:2402.09353) through peft: attached before training, merged into the model
after it, so that what is written is a plain checkpoint.

The reference of a preference run is the model before its adapters are attached, scored once: there is no second model.
"""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch

from ..core.errors import StageError
from .distributed import blocks
from .resume import save_tensors
from .settings import Optimisation

FOLDER = "adapter"
_NAME = "default"
_PATTERN = "*lora_*"


def attach(model: Any, params: Optimisation) -> None:
    """Put adapters beside the linear layers that lora_targets match; nothing if lora_rank is 0. They change nothing
    before they are trained. StageError if peft is not installed or nothing matches."""
    if not params.lora_rank:
        return
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise StageError(
            f"adapters need peft ({error})", where="lora_rank", how="pip install 'sampan[adapters]'"
        ) from error
    config = LoraConfig(
        r=params.lora_rank,
        lora_alpha=_alpha(params),
        target_modules=targets(model, params),
        use_dora=params.dora,
        lora_dropout=0.0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        inject_adapter_in_model(config, model, adapter_name=_NAME)


def targets(model: Any, params: Optimisation) -> list[str]:
    """Names of the linear layers of the decoder's blocks that get an adapter."""
    inside = {id(module) for block in blocks(model) for module in block.modules()}
    names = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and id(m) in inside]
    for pattern in params.lora_targets:
        if not any(fnmatch(name, pattern) for name in names):
            raise StageError(f"no linear layer matches '{pattern}'", where="lora_targets", how=f"Names: {names[0]} …")
    if not params.lora_targets:
        return names
    return [name for name in names if any(fnmatch(name, pattern) for pattern in params.lora_targets)]


def trained_names(model: Any, params: Optimisation) -> tuple[str, ...]:
    """Patterns of what is trained: train_only as given, or the adapters, and the embeddings whose new rows are."""
    if not params.lora_rank:
        return params.train_only
    if not params.new_rows_from:
        return (_PATTERN, *params.train_only)
    wanted = {id(m.weight) for m in (model.get_input_embeddings(), model.get_output_embeddings())}
    return (_PATTERN, *params.train_only, *(name for name, p in model.named_parameters() if id(p) in wanted))


def merge(model: Any, params: Optimisation, out: Path) -> None:
    """Merge the adapters into the weights and take them away; before, write them into `out` if they are to be kept."""
    if not params.lora_rank:
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)]
    if params.keep_adapter:
        _write(model, [name for name, _ in layers], params, out / FOLDER)
    for name, layer in layers:
        layer.merge()
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, layer.get_base_layer())


def _write(model: Any, names: list[str], params: Optimisation, folder: Path) -> None:
    """The adapters as peft reads them, with the embeddings if rows of them were trained."""
    folder.mkdir()
    tensors = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            short = name.replace(f"lora_magnitude_vector.{_NAME}.weight", "lora_magnitude_vector")
            short = short.replace(f".{_NAME}.", ".")
            tensors[f"base_model.model.{short}"] = parameter.detach().cpu().contiguous()
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": params.lora_rank,
        "lora_alpha": _alpha(params),
        "lora_dropout": 0.0,
        "use_dora": params.dora,
        "target_modules": names,
        "inference_mode": True,
        "base_model_name_or_path": "",
    }
    save_tensors(folder / "adapter_model.safetensors", tensors, {"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _alpha(params: Optimisation) -> float:
    return params.lora_alpha or 2.0 * params.lora_rank
