"""Norms, gated feed-forward layers and rotations of a decoder in fewer passes over memory, for float32 on a CPU, and
its linear layers by the fastest products of this machine.

transformers writes them as a dozen tensor operations each; on a CPU every one of them reads and writes memory that no
longer is in cache, and keeps what it made for the backward pass. Here each is one function that works on a few hundred
rows at a time, keeps only what it cannot cheaply make again, and gives the same numbers to float32's rounding. What a
model does otherwise (biases, adapters, hooks, another device, autocast) goes through its own code.

Shapes: N rows, D width, F width of the feed-forward layer, T tokens, H heads.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .products import multiply, packs

_CACHED = 1 << 17
"""Numbers of a tensor that a pass works on at once: 512 KiB in float32, a few of which fit into a core's cache."""
_LEAST = 512
"""Rows below which reading a weight again for every pass costs more than the pass saves."""
_PLACES = 8
_SAME = 1e-5
"""Largest difference at which a part counts as the one known here, for numbers about 1; float32 rounds at 1e-7, and
another formula differs by 1e-2 and more."""


def use_lean_parts(model: Any, *, twin: Callable[[str], nn.Module] | None = None) -> list[str]:
    """Let the parts of `model` that compute what is written here use it; returns their names.

    A part is known by what it gives for random numbers, not by its name. Where the model has no weights yet, `twin`
    gives the part of another model that computes alike.
    """
    found: list[str] = []
    if not twin and not all(_suits(parameter) for parameter in model.parameters()):
        return found
    for name, module in model.named_modules():
        known = twin(name) if twin else module
        if (offset := _norm_offset(known)) is not None:
            _replace(module, functools.partial(_lean_norm, offset))
        elif _is_gated(known):
            _replace(module, functools.partial(_lean_gated, _activation(module.act_fn)))
        elif type(known) is nn.Linear and packs(known.weight):
            _replace(module, _lean_linear)
        elif _rotates(module):
            rotate = sys.modules[type(module).__module__].apply_rotary_pos_emb
            _rebind(module, "apply_rotary_pos_emb", functools.partial(_rotate, rotate))
        else:
            continue
        found.append(name)
    return found


def use_plain_parts(model: Any) -> None:
    """Undo `use_lean_parts`."""
    for module in model.modules():
        if vars(module).pop("is_lean", False):
            del module.forward


def _replace(module: nn.Module, lean: Callable[..., torch.Tensor]) -> None:
    module.forward = functools.partial(lean, module, type(module).forward)
    module.is_lean = True


def _rebind(module: nn.Module, name: str, value: Any) -> None:
    """Give this one module its class's forward pass with a global `name` of its own."""
    plain = type(module).forward
    own = {**plain.__globals__, name: value}
    forward = types.FunctionType(plain.__code__, own, plain.__name__, plain.__defaults__, plain.__closure__)
    forward.__kwdefaults__ = plain.__kwdefaults__
    module.forward = types.MethodType(forward, module)
    module.is_lean = True


def _suits(x: torch.Tensor) -> bool:
    """Whether the functions of this module are meant for `x`."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def _spans(count: int, width: int, *, least: int = 16) -> Iterator[slice]:
    """Passes over `count` rows of `width` numbers, of at least so many rows."""
    size = max(least, _CACHED // width)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


@torch.no_grad()
def _norm_offset(module: nn.Module) -> float | None:
    """What is added to its weight before it scales, if this is a root-mean-square norm over the last dimension."""
    weight = getattr(module, "weight", None)
    if "RMSNorm" not in type(module).__name__ or weight is None or weight.dim() != 1 or module._forward_hooks:
        return None
    x_ND = _random(_PLACES, len(weight)).to(weight)
    given = type(module).forward(module, x_ND)
    known = {offset: _Norm.apply(x_ND, weight, offset, _epsilon(module)) for offset in (0.0, 1.0)}
    return next((offset for offset, out_ND in known.items() if _same(out_ND, given)), None)


def _same(some: torch.Tensor, others: torch.Tensor) -> bool:
    return bool((some - others).abs().max() <= _SAME * max(1.0, float(others.abs().max())))


def _epsilon(module: nn.Module) -> float:
    return getattr(module, "variance_epsilon", None) or getattr(module, "eps", 0.0)


def _lean_norm(offset: float, module: nn.Module, plain: Callable[..., torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    if not _suits(x) or not _suits(module.weight):
        return plain(module, x)
    return _Norm.apply(x.reshape(-1, x.shape[-1]), module.weight, offset, _epsilon(module)).view(x.shape)


class _Norm(torch.autograd.Function):
    """x / sqrt(mean(x²) + ε) · (offset + weight), of [N, D]."""

    @staticmethod
    def forward(ctx, x_ND, weight_D, offset: float, epsilon: float):
        out_ND, rate_N1 = torch.empty_like(x_ND), x_ND.new_empty(len(x_ND), 1)
        scale_D = weight_D + offset if offset else weight_D
        for span in _spans(*x_ND.shape):
            rate = torch.linalg.vector_norm(x_ND[span], dim=-1, keepdim=True, out=rate_N1[span])
            rate.square_().div_(x_ND.shape[1]).add_(epsilon).rsqrt_()
            torch.mul(x_ND[span], rate, out=out_ND[span]).mul_(scale_D)
        ctx.save_for_backward(x_ND, weight_D, rate_N1)
        ctx.offset = offset
        return out_ND

    @staticmethod
    def backward(ctx, grad_ND):
        x_ND, weight_D, rate_N1 = ctx.saved_tensors
        scale_D = weight_D + ctx.offset if ctx.offset else weight_D
        out_ND, weight = torch.empty_like(x_ND), torch.zeros_like(weight_D)
        for span in _spans(*x_ND.shape):
            unit = x_ND[span] * rate_N1[span]
            grad = torch.mul(grad_ND[span], scale_D, out=out_ND[span])
            along = torch.linalg.vecdot(grad, unit)[:, None].div_(x_ND.shape[1])
            grad.addcmul_(unit, along, value=-1).mul_(rate_N1[span])
            weight += unit.mul_(grad_ND[span]).sum(0)
        return out_ND, weight, None, None


def _lean_linear(module: nn.Module, _: Callable[..., torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    if type(module) is not nn.Linear or not _suits(x) or not _suits(module.weight):
        return type(module).forward(module, x)  # tensor parallelism makes another layer of it
    out = _Linear.apply(x.reshape(-1, x.shape[-1]), module.weight).view(*x.shape[:-1], -1)
    return out if module.bias is None else out + module.bias


class _Linear(torch.autograd.Function):
    """x Wᵀ of [N, D]."""

    @staticmethod
    def forward(ctx, x_ND, weight_FD):
        ctx.save_for_backward(x_ND, weight_FD)
        return multiply(x_ND, weight_FD.t())

    @staticmethod
    def backward(ctx, grad_NF):
        x_ND, weight_FD = ctx.saved_tensors
        wants_x, wants_weight = ctx.needs_input_grad
        to_x = multiply(grad_NF, weight_FD) if wants_x else None
        return to_x, multiply(grad_NF.t(), x_ND) if wants_weight else None


def _is_gated(module: nn.Module) -> bool:
    """Whether this is down(activation(gate(x)) · up(x)) with layers that have no bias."""
    names = {name for name, child in module.named_children() if isinstance(child, nn.Linear)}
    if names != {"gate_proj", "up_proj", "down_proj"} or not callable(getattr(module, "act_fn", None)):
        return False
    return _is_plain(module) and _same_gated(module)


def _is_plain(module: nn.Module) -> bool:
    """Whether nobody has put anything between or beside the three layers."""
    layers = (module.gate_proj, module.up_proj, module.down_proj)
    hooked = any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers)
    return not hooked and all(type(layer) is nn.Linear and layer.bias is None for layer in layers)


@torch.no_grad()
def _same_gated(module: nn.Module) -> bool:
    x_ND = _random(_PLACES, module.gate_proj.in_features).to(module.gate_proj.weight)
    given = type(module).forward(module, x_ND)
    return _same(_Gated.apply(x_ND, *_weights(module), module.act_fn), given)


def _activation(given: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """torch's SiLU, whose derivative is one pass over memory, if that is what is given."""
    x_ND = _random(_PLACES, 1024)
    return F.silu if torch.equal(given(x_ND), F.silu(x_ND)) else given


def _weights(module: nn.Module) -> tuple[torch.Tensor, ...]:
    return module.gate_proj.weight, module.up_proj.weight, module.down_proj.weight


def _lean_gated(
    activation: Callable[[torch.Tensor], torch.Tensor],
    module: nn.Module,
    plain: Callable[..., torch.Tensor],
    x: torch.Tensor,
) -> torch.Tensor:
    if not _suits(x) or not _is_plain(module) or not _suits(module.gate_proj.weight):
        return plain(module, x)
    return _Gated.apply(x.reshape(-1, x.shape[-1]), *_weights(module), activation).view(x.shape)


class _Gated(torch.autograd.Function):
    """(activation(x Gᵀ) · x Uᵀ) Dᵀ of [N, D]; keeps x, x Gᵀ and x Uᵀ."""

    @staticmethod
    def forward(ctx, x_ND, gate_FD, up_FD, down_DF, activation: Callable[[torch.Tensor], torch.Tensor]):
        wants = any(ctx.needs_input_grad)
        rows = len(x_ND) if wants else next(_spans(len(x_ND), len(gate_FD), least=_LEAST)).stop
        gates, ups = (x_ND.new_empty(rows, len(gate_FD)) for _ in range(2))
        out_ND = torch.empty_like(x_ND)
        for span in _spans(len(x_ND), len(gate_FD), least=_LEAST):
            kept = span if wants else slice(0, span.stop - span.start)
            gate, up = gates[kept], ups[kept]
            multiply(x_ND[span], gate_FD.t(), out=gate)
            multiply(x_ND[span], up_FD.t(), out=up)
            multiply(activation(gate).mul_(up), down_DF.t(), out=out_ND[span])
        if wants:
            ctx.save_for_backward(x_ND, gate_FD, up_FD, down_DF, gates, ups)
            ctx.activation = activation
        return out_ND

    @staticmethod
    def backward(ctx, grad_ND):
        x_ND, gate_FD, up_FD, down_DF, gates, ups = ctx.saved_tensors
        out_ND = torch.empty_like(x_ND) if ctx.needs_input_grad[0] else None
        given = zip(ctx.needs_input_grad[1:4], (gate_FD, up_FD, down_DF), strict=True)
        gate_grad, up_grad, down_grad = (torch.zeros_like(weight) if wanted else None for wanted, weight in given)
        for span in _spans(len(x_ND), len(gate_FD), least=_LEAST):
            grad = grad_ND[span]
            product, to_up, to_gate = _through_gate(ctx.activation, gates[span], ups[span], multiply(grad, down_DF))
            if down_grad is not None:
                multiply(grad.t(), product, out=down_grad, add=True)
            if up_grad is not None:
                multiply(to_up.t(), x_ND[span], out=up_grad, add=True)
            if gate_grad is not None:
                multiply(to_gate.t(), x_ND[span], out=gate_grad, add=True)
            if out_ND is not None:
                multiply(to_up, up_FD, out=out_ND[span])
                multiply(to_gate, gate_FD, out=out_ND[span], add=True)
        return out_ND, gate_grad, up_grad, down_grad, None


def _through_gate(activation: Callable[[torch.Tensor], torch.Tensor], gate_NF, up_NF, grad_NF) -> list[torch.Tensor]:
    """activation(gate) · up, and of the gradient of that, which is used up, those by up and by gate."""
    product_NF, to_up_NF = (torch.empty_like(up_NF) for _ in range(2))
    for span in _spans(*gate_NF.shape):
        gate, up, grad = gate_NF[span], up_NF[span], grad_NF[span]
        active = activation(gate)
        torch.mul(active, grad, out=to_up_NF[span])
        torch.mul(active, up, out=product_NF[span])
        grad.mul_(up)
        if activation is F.silu:
            torch.ops.aten.silu_backward.grad_input(grad, gate, grad_input=grad)
            continue
        with torch.enable_grad():
            given = gate.detach().requires_grad_()
            grad.copy_(torch.autograd.grad(activation(given), given, grad)[0])
    return [product_NF, to_up_NF, grad_NF]


def _rotates(module: nn.Module) -> bool:
    """Whether this attends with queries and keys that its modelling file's function rotates as is usual."""
    rotate = getattr(sys.modules[type(module).__module__], "apply_rotary_pos_emb", None)
    code = getattr(type(module).forward, "__code__", None)
    if rotate is None or code is None or "apply_rotary_pos_emb" not in code.co_names or not hasattr(module, "head_dim"):
        return False
    width = int(module.head_dim)
    query, key = _random(1, 2, _PLACES, width), _random(1, 1, _PLACES, width) + 1
    turns = [_random(1, _PLACES, width) for _ in range(2)]
    try:
        given = rotate(query, key, *turns)
    except (RuntimeError, TypeError, IndexError):
        return False
    known = (_Rotation.apply(x, *turns) for x in (query, key))
    return all(_same(a, b) for a, b in zip(known, given, strict=True))


def _rotate(plain: Callable[..., Any], query, key, cos, sin, *args: Any, **more: Any) -> Any:
    if args or more or not all(map(_suits, (query, key, cos, sin))):
        return plain(query, key, cos, sin, *args, **more)
    return _Rotation.apply(query, cos, sin), _Rotation.apply(key, cos, sin)


class _Rotation(torch.autograd.Function):
    """x · cos + (−x₂, x₁) · sin of [B, H, T, D] by [B, T, D], laid out as [B, T, H, D]; keeps nothing of x."""

    @staticmethod
    def forward(ctx, x_BHTD, cos_BTD, sin_BTD):
        ctx.save_for_backward(cos_BTD, sin_BTD)
        return _turn(x_BHTD, cos_BTD, sin_BTD, 1)

    @staticmethod
    def backward(ctx, grad_BHTD):
        return _turn(grad_BHTD, *ctx.saved_tensors, -1), None, None


def _turn(x_BHTD: torch.Tensor, cos_BTD: torch.Tensor, sin_BTD: torch.Tensor, sign: int) -> torch.Tensor:
    """x turned forward (sign 1) or back (-1)."""
    x_BTHD, half = x_BHTD.transpose(1, 2), x_BHTD.shape[-1] // 2
    out_BTHD = torch.empty_like(x_BTHD, memory_format=torch.contiguous_format)
    for span in _spans(x_BTHD.shape[1], x_BTHD[:, 0].numel()):
        x, out, cos, sin = x_BTHD[:, span], out_BTHD[:, span], cos_BTD[:, span, None], sin_BTD[:, span, None]
        torch.mul(x, cos, out=out)
        out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-sign)
        out[..., half:].addcmul_(x[..., :half], sin[..., half:], value=sign)
    return out_BTHD.transpose(1, 2)


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))
