"""Tensor parallelism: processes that compute the same tokens, each with a part of every matrix of the blocks.

The division is Megatron-LM's (arXiv:1909.08053 §3), by the plan that transformers has for an architecture
(`base_model_tp_plan`): `colwise` matrices hold a part of the heads, or of the feed-forward neurons, `rowwise` ones give
sums that are added up. What comes between blocks, norms and embeddings are whole in every process. The scored tokens
are divided as well: each process meets the vocabulary with its share of them, and the log-probabilities are put
together, so that any loss works.

Parameters stay plain tensors, a part of the whole each, which FSDP2 divides further by rows; `part` tells where one
lies. Gradients of what is whole are equal in all processes, except where each sees a share of the tokens or of the
heads: those are `partial`, and added up once a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.nn import functional as F

from ..core.errors import StageError
from .packing import MicroBatch

if TYPE_CHECKING:
    from .distributed import World

_STYLES = {"colwise", "rowwise", "replicated_with_grad_allreduce"}


@dataclass(frozen=True)
class Part:
    """Which part of a parameter a process has: number `rank` of `size` equal ones of dimension `dim`."""

    dim: int
    rank: int
    size: int


def part(parameter: torch.Tensor) -> Part | None:
    """The part that this process has of a parameter; None if it is whole (but for FSDP)."""
    return getattr(parameter, "tensor_part", None)


def divide(model: Any, world: World) -> None:
    """Divide `model` among the processes of `world.tensor`, in place; StageError if transformers has no plan for it, or
    one that is not known here, or its heads cannot be divided so."""
    if world.tensor.size == 1:
        return
    plan = getattr(model.config, "base_model_tp_plan", None) or {}
    modules = [(name, module, _style(plan, name)) for name, module in model.base_model.named_modules()]
    kinds = {type(module) for _, module, style in modules if style in ("colwise", "rowwise")}
    unknown = sorted(set(plan.values()) - _STYLES | {kind.__name__ for kind in kinds - {torch.nn.Linear}})
    if not kinds or unknown:
        kind = model.config.model_type
        raise StageError(
            f"matrices of {kind} models cannot be divided: transformers' plan "
            + (f"has {', '.join(unknown)}" if unknown else "is missing"),
            where="--tensor-parallel",
            how="Llama, Mistral, Qwen 2 and 3, Gemma, Gemma 2 and Gemma 3 can; others are divided by FSDP alone.",
        )
    entries: dict[str, _Entry] = {}
    for name, module, style in modules:
        if style in ("colwise", "rowwise"):
            module.entry = entries.setdefault(name.rpartition(".")[0], _Entry(world.tensor))
            columns = style == "colwise"
            module.__class__ = _Columns if columns else _Rows
            for parameter in (module.weight, module.bias if columns else None):
                if parameter is not None:
                    _cut(name, parameter, 0 if columns else 1, world.tensor)
        elif style:
            _mark_partial(module.parameters())
    _divide_tokens(model, world.tensor)


def _style(plan: Mapping[str, str], name: str) -> str | None:
    return next((style for pattern, style in plan.items() if fnmatch(name, pattern)), None)


class _Columns(torch.nn.Linear):
    """A linear layer that has a part of its outputs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(self.entry(x), self.weight, self.bias)


class _Rows(torch.nn.Linear):
    """A linear layer that has a part of its inputs; its outputs are summed over all processes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.entry.forget()
        out = _Sum.apply(F.linear(x, self.weight), self.entry.tensor)
        return out if self.bias is None else out + self.bias


def _cut(name: str, parameter: torch.nn.Parameter, dim: int, tensor: World) -> None:
    if parameter.shape[dim] % tensor.size:
        raise StageError(f"{name} has {parameter.shape[dim]} rows or columns, which {tensor.size} does not divide")
    parameter.data = parameter.detach().chunk(tensor.size, dim)[tensor.rank].clone()
    parameter.tensor_part = Part(dim, tensor.rank, tensor.size)


def _mark_partial(parameters: Any) -> None:
    for parameter in parameters:
        parameter.tensor_partial = True


def _divide_tokens(model: Any, tensor: World) -> None:
    """Let the gradient of the last hidden states be a share that is added up, and that of the embeddings, which the
    head may be too."""
    inner, head = model.get_input_embeddings(), model.get_output_embeddings()
    _mark_partial({inner.weight, head.weight})

    def leave(module: Any, args: Any, out: Any) -> Any:
        out.last_hidden_state = _Enter.apply(out.last_hidden_state, tensor)
        return out

    model.base_model.register_forward_hook(leave)
    inner.register_forward_hook(lambda module, args, out: _OfFirst.apply(out, tensor))


class _Entry:
    """The way into the divided matrices of one module: their inputs are one tensor, whose gradient is added up once."""

    def __init__(self, tensor: World) -> None:
        self.tensor, self._seen = tensor, (None, None)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self._seen[0] is not x:
            self._seen = (x, _Enter.apply(x, self.tensor))
        return self._seen[1]

    def forget(self) -> None:
        self._seen = (None, None)


class _Enter(torch.autograd.Function):
    """The same tensor; its gradient is the sum of the processes' gradients."""

    @staticmethod
    def forward(ctx, x, tensor):
        ctx.tensor = tensor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return ctx.tensor.sum_tensor(grad.clone(memory_format=torch.contiguous_format)), None


class _Sum(torch.autograd.Function):
    """The sum of the processes' tensors; each has its gradient."""

    @staticmethod
    def forward(ctx, x, tensor):
        return tensor.sum_tensor(x.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class _OfFirst(torch.autograd.Function):
    """The same tensor; its gradient counts in the first process."""

    @staticmethod
    def forward(ctx, x, tensor):
        ctx.counts = tensor.rank == 0
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad if ctx.counts else torch.zeros_like(grad), None


class _Together(torch.autograd.Function):
    """Shares of the last dimension put together, each of which has its part of the gradient."""

    @staticmethod
    def forward(ctx, x, places_n, count, world):
        ctx.places_n = places_n
        out = x.new_zeros(*x.shape[:-1], count)
        out[..., places_n] = x
        return world.sum_tensor(out)

    @staticmethod
    def backward(ctx, grad):
        return grad[..., ctx.places_n], None, None, None


def share_tokens(batch: MicroBatch, tensor: World) -> tuple[MicroBatch, slice]:
    """The batch with this process's share of the scored tokens, and their places among all of them."""
    count = len(batch.index_N)
    span = slice(count * tensor.rank // tensor.size, count * (tensor.rank + 1) // tensor.size)
    own = replace(batch, index_N=batch.index_N[span], labels_N=batch.labels_N[span], piece_N=batch.piece_N[span])
    return own, span


def gather_tokens(scores: torch.Tensor, places_n: slice | torch.Tensor, count: int, world: World) -> torch.Tensor:
    """What all processes made of their shares of `count` scored tokens [..., n], as [..., N]; `places_n` are those of
    this process's among the N."""
    return _Together.apply(scores, places_n, count, world)


@torch.no_grad()
def add_partial(parameters: Sequence[torch.Tensor], tensor: World) -> None:
    """Add up gradients that every process has a share of; once a step, after the last backward pass."""
    if tensor.size == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None and getattr(parameter, "tensor_partial", False):
            grad = parameter.grad
            tensor.sum_tensor(grad.to_local() if hasattr(grad, "to_local") else grad)


def gradient_norm(parameters: Sequence[torch.Tensor], tensor: World) -> torch.Tensor:
    """The norm of all gradients, those of parts counted in every process and others once."""
    trained = [p for p in parameters if p.grad is not None]
    whole = _norm([p.grad for p in trained if part(p) is None])
    parts = [p.grad for p in trained if part(p) is not None]
    if not parts:
        return whole
    square = tensor.sum_tensor(_norm(parts).square())
    return (square + whole.to(square.device).square()).sqrt()


def _norm(grads: list[torch.Tensor]) -> torch.Tensor:
    if grads and any(grad.dtype == torch.bfloat16 for grad in grads):  # whose own norm has 8 bits
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads, 2, torch.float32)))
    else:
        norm = torch.nn.utils.get_total_norm(grads)
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm


def whole_size(parameter: torch.Tensor) -> int:
    """Numbers of the whole parameter."""
    found = part(parameter)
    return parameter.numel() * (found.size if found else 1)


def put_together(value: torch.Tensor, of: torch.Tensor, tensor: World) -> torch.Tensor:
    """The whole of a parameter `of` which this process has the part `value`."""
    found = part(of)
    if found is None:
        return value
    parts = [torch.empty_like(value) for _ in range(tensor.size)]
    dist.all_gather(parts, value.contiguous(), group=tensor.group)
    return torch.cat(parts, found.dim)
