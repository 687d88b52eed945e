"""Liger's kernels on a GPU (arXiv:2410.10989): norms and gated feed-forward layers in one kernel each.

They are put into the modules of one model, through transformers' integration; what Liger changes in transformers itself
is put back, so that other models of the process stay as they are. Rotations stay transformers' own, since Liger
replaces those for all models, and the loss is ours (`logprobs`), which keeps no logits either. A small model of the
same kind must give the same log-probabilities and gradients with the kernels as without, or they are refused.

`--compile` fuses the same operations, so it is one or the other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ..core.errors import StageError
from .attention import use_packed_attention
from .lean import use_plain_parts
from .logprobs import token_logprobs
from .opening import small_model
from .packing import IGNORE, Piece, pack

_WHERE = "--liger"
_KERNELS = {"rms_norm": True, "swiglu": True, "geglu": True} | dict.fromkeys(
    ("rope", "cross_entropy", "fused_linear_cross_entropy"), False
)
_CLOSE = {torch.float32: 1e-2, torch.bfloat16: 5e-2}
"""Of the largest number: float32 may be multiplied in TF32, with 10 bits; another formula differs by 1e-1 and more."""


def use_liger_parts(model: Any, device: str, dtype: torch.dtype) -> int:
    """Let the modules of `model` for which there are kernels use them; returns how many do.

    StageError without a GPU, without the package, for an architecture that it does not know, and where a small model of
    the kind computes something else with them, in `dtype`.
    """
    if not device.startswith("cuda"):
        raise StageError("Liger's kernels need a GPU", where=_WHERE, how="Leave it out, or give --device cuda.")
    return prove_and_apply(model, device, dtype)


def prove_and_apply(model: Any, device: str, dtype: torch.dtype) -> int:
    """`use_liger_parts` on any device that has the kernels."""
    small = small_model(model.config).to(device)
    use_packed_attention(small)
    use_plain_parts(model)
    plain = _numbers(small, dtype)
    kind = model.config.model_type
    if not _apply(small):
        raise StageError(f"Liger has no kernels for {kind} models", where=_WHERE, how="Leave it out; try --compile.")
    for one, other in zip(plain, _numbers(small, dtype), strict=True):
        error = (one - other).abs().max().item() / max(1e-6, one.abs().max().item())
        if not error <= _CLOSE[dtype]:
            raise StageError(
                f"Liger's kernels change what a {kind} model computes, by {error:.2g} of its largest number",
                where=_WHERE,
                how="Leave it out, or try another version of liger-kernel.",
            )
    return _apply(model)


def _apply(model: Any) -> int:
    """Put the kernels into `model`; returns how many modules have another forward pass now."""
    from transformers.integrations.liger import apply_liger_kernel

    before = {name: vars(module).get("forward") for name, module in model.named_modules()}
    with _kept(sys.modules[type(model).__module__]):
        try:
            apply_liger_kernel(model, _KERNELS)
        except ImportError as error:
            raise StageError(
                f"Liger's kernels cannot be loaded ({error})", where=_WHERE, how="pip install 'sampan[liger]'"
            ) from error
    return sum(vars(module).get("forward") is not before[name] for name, module in model.named_modules())


@contextmanager
def _kept(module: Any) -> Iterator[None]:
    """Undo, at the end, what is changed in a module of Python."""
    known = dict(vars(module))
    try:
        yield
    finally:
        vars(module).update(known)


def _numbers(model: Any, dtype: torch.dtype) -> list[torch.Tensor]:
    """Log-probabilities of two packed documents, and the gradients of all parameters, in float32."""
    dice = np.random.default_rng(0)
    rows = model.get_input_embeddings().weight.shape[0]
    documents = [dice.integers(rows, size=length) for length in (5, 12)]
    pieces = [Piece(ids, np.append(ids[1:], IGNORE)) for ids in documents]
    model.zero_grad()
    found = token_logprobs(model, pack(pieces, model.device), dtype=dtype, uniform=True)
    (-found.sum()).backward()
    return [found.detach().float(), *(parameter.grad.float() for parameter in model.parameters())]
