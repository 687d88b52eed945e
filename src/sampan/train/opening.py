"""Opening a model without holding all of it: its shape first, each process's part of the weights once it is divided.

The model is made on torch's meta device, where parameters have shapes and no memory. When FSDP2, and tensor parallelism
before it, have said which rows and columns a process has, memory is taken for these alone and they are read from the
safetensors files, no other byte of which is touched. What has no file, such as the frequencies of rotary positions, is
taken from a small model of the same configuration, on which packed attention is proven too: two blocks, or one of each
kind, with a small vocabulary and feed-forward part.

Weights in bfloat16 are opened like this by one process too: what their rounding cuts off goes to the optimiser.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from ..core.errors import StageError
from ..model.checkpoint import check_folder, read_index
from .attention import use_packed_attention
from .checks import pack_and_check
from .distributed import World, place
from .lean import use_lean_parts
from .masters import LOW, local, split

_SMALL_VOCABULARY, _SMALL_FEED_FORWARD = 64, 256


class Unsuited(Exception):
    """Why a model must be loaded whole."""


def open_empty(folder: Path, dtype: torch.dtype, device: str) -> Any:
    """The model without weights, attending inside documents, to be given to `materialise` and `fill`.

    Unsuited if its files do not have a tensor of the right shape for each parameter, or it needs something that is
    neither in them nor computed from its configuration; StageError if packing breaks it.
    """
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    check_folder(folder)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if getattr(config, "quantization_config", None):
            raise Unsuited("its weights are quantised")
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
        if name := missing(model, folder):
            raise Unsuited(f"its files have no {name} of its shape")
        small = small_model(config)
    except (ValueError, OSError, RuntimeError, AttributeError, SafetensorError) as error:
        raise Unsuited(f"{type(error).__name__}: {str(error)[:200]}") from error  # loading it whole says it better
    _check_buffers(model, small)
    pack_and_check(small)
    use_packed_attention(model)
    if device == "cpu" and dtype == torch.float32:
        use_lean_parts(model, twin=lambda name: small.get_submodule(_twin(name, config, small.config)))
    model.small = [small]  # a list, so that it is no part of the model
    return model


def missing(model: Any, folder: Path) -> str:
    """The first parameter of which the files in `folder` have no tensor of its name and shape; empty if none."""
    known = read_index(folder)
    named = model.named_parameters()
    return next((name for name, p in named if known.get(name, ("", []))[1] != list(p.shape)), "")


def prove(model: Any) -> None:
    """Switch a whole model, of numbers too coarse to compare, to packed attention, and prove it on a small one."""
    check_numbers(model.parameters())
    pack_and_check(small_model(model.config))
    use_packed_attention(model)


def small_model(config: Any) -> Any:
    """A small random model that computes as another does."""
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(small_config(config), dtype=torch.float32).eval()


def _twin(name: str, config: Any, small: Any) -> str:
    """The name in the small model of what is called `name` in the large one: in a block of the same kind."""
    found = re.search(r"\.(\d+)\b", name)
    if not found:
        return name
    number, kinds = int(found[1]), getattr(small, "layer_types", None)
    twin = kinds.index(config.layer_types[number]) if kinds else min(number, small.num_hidden_layers - 1)
    return f"{name[: found.start(1)]}{twin}{name[found.end(1) :]}"


def small_config(config: Any) -> Any:
    """The configuration of a model that computes as another does and is small."""
    small = copy.deepcopy(config)
    kinds = list(dict.fromkeys(getattr(config, "layer_types", None) or []))
    if kinds:
        small.layer_types = kinds
    small.num_hidden_layers = len(kinds) or min(2, config.num_hidden_layers)
    small.vocab_size = min(_SMALL_VOCABULARY, config.vocab_size)
    small.intermediate_size = min(_SMALL_FEED_FORWARD, config.intermediate_size)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        if getattr(small, name, None) is not None:
            setattr(small, name, 0)
    return small


def _check_buffers(model: Any, small: Any) -> None:
    given = dict(small.named_buffers())
    stored = model.state_dict().keys()
    for name, buffer in model.named_buffers():
        if name in stored or name not in given or given[name].shape != buffer.shape:
            raise Unsuited(f"it keeps {name}, which cannot be computed from its configuration here")
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor) and value.is_meta:
                raise Unsuited(f"it keeps {name}, which is neither a parameter nor a buffer")


def is_empty(model: Any) -> bool:
    """Whether the model has no weights yet."""
    return next(model.parameters()).is_meta


def materialise(module: torch.nn.Module, model: Any, device: str) -> None:
    """Take memory for what this process has of the parameters of `model`, which lies in `module`; fill its buffers.

    Parameters stay the objects that they are, so that what is tied stays tied; their marks are kept.
    """
    marks = {name: dict(vars(parameter)) for name, parameter in module.named_parameters()}
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        module.to_empty(device=device)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)
    for name, parameter in module.named_parameters():
        vars(parameter).update(marks[name])
    given = dict(model.small.pop().named_buffers())
    for name, buffer in model.named_buffers():
        buffer.copy_(given[name])


@torch.no_grad()
def fill(model: Any, folder: Path, world: World, optimiser: Any) -> None:
    """Read this process's part of every parameter. What bfloat16 cuts off a trained one goes into the optimiser's
    state, if that keeps it. StageError if a weight is not a number."""
    keeps = getattr(optimiser, "begin", None)
    for parameter, value in _parts(model, folder, world):
        held = local(parameter)
        value = value.to(held.device)
        check_numbers([value])
        if held.dtype != torch.bfloat16 or value.dtype == torch.bfloat16:
            held.copy_(value)
            continue
        high, low = split(value.float())
        held.copy_(high)
        if keeps and parameter.requires_grad and LOW in (state := keeps(parameter)):
            local(state[LOW]).copy_(low)


def check_numbers(tensors: Iterable[torch.Tensor]) -> None:
    """StageError if a weight is none: one row of the embeddings would break the steps that read it, and no others."""
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        raise StageError(
            "the model's weights are not all numbers",
            how="Look for NaN or infinity in the checkpoint; the stage that wrote it, or the download, went wrong.",
        )


def _parts(model: Any, folder: Path, world: World) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Every parameter and, as its file has it, what of it this process holds."""
    from safetensors import safe_open

    known: Mapping[str, tuple[str, list[int]]] = read_index(folder)
    with ExitStack() as stack:
        files: dict[str, Any] = {}
        for name, parameter in model.named_parameters():
            file = known[name][0]
            if file not in files:
                files[file] = stack.enter_context(safe_open(folder / file, "pt"))
            first, end, *sides = place(parameter, world)
            part = files[file].get_slice(name)
            yield parameter, (part[first:end, sides[0] : sides[1]] if sides else part[first:end])
