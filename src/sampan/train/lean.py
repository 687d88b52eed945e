"""Norms, gated feed-forward layers and rotations of a decoder in fewer passes over memory, for float32 on a CPU.

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

_CACHED = 1 << 17
"""Numbers that a pass works on at once: 512 KiB in float32, since it reads and writes several tensors of that size and
a core's cache has 1 to 2 MiB."""
LEAST = 512
"""Rows below which reading a weight again for every pass costs more than the pass saves."""
PLACES = 8
_SAME = 1e-5
"""Largest difference at which a part counts as the one known here, for numbers about 1; float32 rounds at 1e-7, and
another formula differs by 1e-2 and more."""


def use_lean_parts(model: Any) -> list[str]:
    """Let the parts of `model` that compute what is written here use it; returns their names.

    A part is known by what it gives for random numbers, not by its name.
    """
    found: list[str] = []
    if not all(suits(parameter) for parameter in model.parameters()):
        return found
    for name, module in model.named_modules():
        if (offset := norm_offset(module)) is not None:
            replace(module, functools.partial(_lean_norm, offset))
        elif is_gated(module):
            replace(module, _lean_gated)
        elif rotates(module):
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


def replace(module: nn.Module, lean: Callable[..., torch.Tensor]) -> None:
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


def suits(x: torch.Tensor) -> bool:
    """Whether the functions of this module are meant for `x`."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def spans(count: int, width: int, *, least: int = 16) -> Iterator[slice]:
    """Passes over `count` rows of `width` numbers, of at least so many rows."""
    size = max(least, _CACHED // width)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


@torch.no_grad()
def norm_offset(module: nn.Module) -> float | None:
    """What is added to its weight before it scales, if this is a root-mean-square norm over the last dimension."""
    weight = getattr(module, "weight", None)
    if "RMSNorm" not in type(module).__name__ or weight is None or weight.dim() != 1 or module._forward_hooks:
        return None
    x_ND = random(PLACES, len(weight)).to(weight)
    given = type(module).forward(module, x_ND)
    known = {offset: _Norm.apply(x_ND, weight, offset, epsilon(module)) for offset in (0.0, 1.0)}
    return next((offset for offset, out_ND in known.items() if same(out_ND, given)), None)


def same(some: torch.Tensor, others: torch.Tensor) -> bool:
    return bool((some - others).abs().max() <= _SAME * max(1.0, float(others.abs().max())))


def epsilon(module: nn.Module) -> float:
    return getattr(module, "variance_epsilon", None) or getattr(module, "eps", 0.0)


def _lean_norm(offset: float, module: nn.Module, plain: Callable[..., torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    if not suits(x) or not suits(module.weight):
        return plain(module, x)
    return _Norm.apply(x.reshape(-1, x.shape[-1]), module.weight, offset, epsilon(module)).view(x.shape)


class _Norm(torch.autograd.Function):
    """x / sqrt(mean(x²) + ε) · (offset + weight), of [N, D]."""

    @staticmethod
    def forward(ctx, x_ND, weight_D, offset: float, epsilon: float):
        out_ND, rate_N1 = torch.empty_like(x_ND), x_ND.new_empty(len(x_ND), 1)
        for span in spans(*x_ND.shape):
            normalise(x_ND[span], weight_D + offset, epsilon, rate_N1[span], out_ND[span])
        ctx.save_for_backward(x_ND, weight_D, rate_N1)
        ctx.offset = offset
        return out_ND

    @staticmethod
    def backward(ctx, grad_ND):
        x_ND, weight_D, rate_N1 = ctx.saved_tensors
        out_ND, weight = torch.empty_like(x_ND), torch.zeros_like(weight_D)
        for span in spans(*x_ND.shape):
            x, rate = x_ND[span], rate_N1[span]
            normalise_backward(grad_ND[span], x, rate, weight_D + ctx.offset, out_ND[span], weight)
        return out_ND, weight, None, None


def normalise(x_ND, scale_D, epsilon: float, rate_N1: torch.Tensor, out_ND: torch.Tensor) -> torch.Tensor:
    """Write x · rate · scale to `out_ND`, and the rate, 1 / sqrt(mean(x²) + ε), to `rate_N1`."""
    rate = torch.linalg.vector_norm(x_ND, dim=-1, keepdim=True, out=rate_N1)
    rate.square_().div_(x_ND.shape[1]).add_(epsilon).rsqrt_()
    return torch.mul(x_ND, rate, out=out_ND).mul_(scale_D)


def normalise_backward(grad_ND, x_ND, rate_N1, scale_D, out_ND: torch.Tensor, scale_grad_D: torch.Tensor | None) -> None:
    """Write the gradient of `normalise` by x to `out_ND` and add that by the scale to `scale_grad_D`."""
    unit = x_ND * rate_N1
    grad = torch.mul(grad_ND, scale_D, out=out_ND)
    along = torch.linalg.vecdot(grad, unit)[:, None].div_(x_ND.shape[1])
    grad.addcmul_(unit, along, value=-1).mul_(rate_N1)
    if scale_grad_D is not None:
        scale_grad_D += unit.mul_(grad_ND).sum(0)


def is_gated(module: nn.Module) -> bool:
    """Whether this is down(activation(gate(x)) · up(x)) with layers that have no bias."""
    names = {name for name, child in module.named_children() if isinstance(child, nn.Linear)}
    if names != {"gate_proj", "up_proj", "down_proj"} or not callable(getattr(module, "act_fn", None)):
        return False
    return is_plain(module) and _same_gated(module)


def is_plain(module: nn.Module) -> bool:
    """Whether nobody has put anything between or beside the three layers."""
    layers = (module.gate_proj, module.up_proj, module.down_proj)
    hooked = any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers)
    return not hooked and all(type(layer) is nn.Linear and layer.bias is None for layer in layers)


@torch.no_grad()
def _same_gated(module: nn.Module) -> bool:
    x_ND = random(PLACES, module.gate_proj.in_features).to(module.gate_proj.weight)
    given = type(module).forward(module, x_ND)
    return same(Gated.apply(x_ND, None, *gated_weights(module), module.act_fn, 0.0, 0.0), given)


def gated_weights(module: nn.Module) -> tuple[torch.Tensor, ...]:
    return module.gate_proj.weight, module.up_proj.weight, module.down_proj.weight


def _lean_gated(module: nn.Module, plain: Callable[..., torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    if not suits(x) or not is_plain(module) or not suits(module.gate_proj.weight):
        return plain(module, x)
    rows = x.reshape(-1, x.shape[-1])
    return Gated.apply(rows, None, *gated_weights(module), module.act_fn, 0.0, 0.0).view(x.shape)


class Gated(torch.autograd.Function):
    """(activation(y Gᵀ) · y Uᵀ) Dᵀ of rows y = x; or, given a norm's weight, x + that of y = norm(x). Keeps x, y Gᵀ and
    y Uᵀ."""

    @staticmethod
    def forward(ctx, x_ND, norm_D, gate_FD, up_FD, down_DF, activation: Callable, offset: float, epsilon: float):
        wants = any(ctx.needs_input_grad)
        rows = len(x_ND) if wants else next(spans(len(x_ND), len(gate_FD), least=LEAST)).stop
        gates, ups = (x_ND.new_empty(rows, len(gate_FD)) for _ in range(2))
        out_ND, rate_N1 = torch.empty_like(x_ND), x_ND.new_empty(len(x_ND), 1)
        for span in spans(len(x_ND), len(gate_FD), least=LEAST):
            kept = span if wants else slice(0, span.stop - span.start)
            gate, up, x = gates[kept], ups[kept], x_ND[span]
            y = x if norm_D is None else normalise(x, norm_D + offset, epsilon, rate_N1[span], torch.empty_like(x))
            torch.mm(y, gate_FD.t(), out=gate)
            torch.mm(y, up_FD.t(), out=up)
            product = _product(activation, gate, up)
            if norm_D is None:
                torch.mm(product, down_DF.t(), out=out_ND[span])
            else:
                torch.addmm(x, product, down_DF.t(), out=out_ND[span])
        if wants:
            ctx.save_for_backward(x_ND, norm_D, gate_FD, up_FD, down_DF, rate_N1, gates, ups)
            ctx.activation, ctx.offset = activation, offset
        return out_ND

    @staticmethod
    def backward(ctx, grad_ND):
        x_ND, norm_D, gate_FD, up_FD, down_DF, rate_N1, gates, ups = ctx.saved_tensors
        out_ND = torch.empty_like(x_ND) if any(ctx.needs_input_grad[:2]) else None
        given = zip(ctx.needs_input_grad[1:5], (norm_D, gate_FD, up_FD, down_DF), strict=True)
        norm_grad, gate_grad, up_grad, down_grad = (torch.zeros_like(each) if wanted else None for wanted, each in given)
        for span in spans(len(x_ND), len(gate_FD), least=LEAST):
            x, grad = x_ND[span], grad_ND[span]
            y = x if norm_D is None else (x * rate_N1[span]).mul_(norm_D + ctx.offset)
            product, to_up, to_gate = _through_gate(ctx.activation, gates[span], ups[span], grad @ down_DF)
            for weight_grad, left, right in ((down_grad, grad, product), (up_grad, to_up, y), (gate_grad, to_gate, y)):
                if weight_grad is not None:
                    weight_grad.addmm_(left.t(), right)
            if out_ND is None:
                continue
            inner = torch.mm(to_up, up_FD, out=out_ND[span] if norm_D is None else y).addmm_(to_gate, gate_FD)
            if norm_D is not None:
                rate, scale = rate_N1[span], norm_D + ctx.offset
                normalise_backward(inner, x, rate, scale, out_ND[span], norm_grad)
                out_ND[span].add_(grad)
        return out_ND, norm_grad, gate_grad, up_grad, down_grad, None, None, None


def _product(activation: Callable[[torch.Tensor], torch.Tensor], gate_NF, up_NF) -> torch.Tensor:
    out_NF = torch.empty_like(up_NF)
    for span in spans(*gate_NF.shape):
        torch.mul(activation(gate_NF[span]), up_NF[span], out=out_NF[span])
    return out_NF


def _through_gate(activation: Callable[[torch.Tensor], torch.Tensor], gate_NF, up_NF, grad_NF) -> list[torch.Tensor]:
    """activation(gate) · up, and from the gradient of that those of up and of gate, all [N, F]; grad_NF is used up."""
    product_NF, to_up_NF = (torch.empty_like(up_NF) for _ in range(2))
    for span in spans(*gate_NF.shape):
        up, grad = up_NF[span], grad_NF[span]
        with torch.enable_grad():
            gate = gate_NF[span].detach().requires_grad_()
            active = activation(gate)
        torch.mul(active.detach(), up, out=product_NF[span])
        torch.mul(active.detach(), grad, out=to_up_NF[span])
        (to_gate,) = torch.autograd.grad(active, gate, grad.mul_(up))
        grad.copy_(to_gate)
    return [product_NF, to_up_NF, grad_NF]


def rotates(module: nn.Module) -> bool:
    """Whether this attends with queries and keys that its modelling file's function rotates as is usual."""
    rotate = getattr(sys.modules[type(module).__module__], "apply_rotary_pos_emb", None)
    code = getattr(type(module).forward, "__code__", None)
    if rotate is None or code is None or "apply_rotary_pos_emb" not in code.co_names or not hasattr(module, "head_dim"):
        return False
    width = int(module.head_dim)
    query, key = random(1, 2, PLACES, width), random(1, 1, PLACES, width) + 1
    turns = [random(1, PLACES, width) for _ in range(2)]
    try:
        given = rotate(query, key, *turns)
    except (RuntimeError, TypeError, IndexError):
        return False
    known = (_Rotation.apply(x, *turns) for x in (query, key))
    return all(same(a, b) for a, b in zip(known, given, strict=True))


def _rotate(plain: Callable[..., Any], query, key, cos, sin, *args: Any, **more: Any) -> Any:
    if args or more or not all(map(suits, (query, key, cos, sin))):
        return plain(query, key, cos, sin, *args, **more)
    return _Rotation.apply(query, cos, sin), _Rotation.apply(key, cos, sin)


class _Rotation(torch.autograd.Function):
    """x · cos + (−x₂, x₁) · sin of [B, H, T, D] by [B, T, D], laid out as [B, T, H, D]; keeps nothing of x."""

    @staticmethod
    def forward(ctx, x_BHTD, cos_BTD, sin_BTD):
        ctx.save_for_backward(cos_BTD, sin_BTD)
        return _turned(x_BHTD, cos_BTD, sin_BTD, 1)

    @staticmethod
    def backward(ctx, grad_BHTD):
        return _turned(grad_BHTD, *ctx.saved_tensors, -1), None, None


def _turned(x_BHTD: torch.Tensor, cos_BTD: torch.Tensor, sin_BTD: torch.Tensor, sign: int) -> torch.Tensor:
    x_BTHD = x_BHTD.transpose(1, 2)
    out_BTHD = torch.empty_like(x_BTHD, memory_format=torch.contiguous_format)
    for span in spans(x_BTHD.shape[1], x_BTHD[:, 0].numel()):
        turn(x_BTHD[:, span], cos_BTD[:, span], sin_BTD[:, span], sign, out_BTHD[:, span])
    return out_BTHD.transpose(1, 2)


def turn(x_NHD: torch.Tensor, cos_ND: torch.Tensor, sin_ND: torch.Tensor, sign: int, out_NHD: torch.Tensor) -> None:
    """Write x turned forward (sign 1) or back (-1) to `out_NHD`, for any leading dimensions N."""
    half, sin_N1D = x_NHD.shape[-1] // 2, sin_ND.unsqueeze(-2)
    torch.mul(x_NHD, cos_ND.unsqueeze(-2), out=out_NHD)
    out_NHD[..., :half].addcmul_(x_NHD[..., half:], sin_N1D[..., :half], value=-sign)
    out_NHD[..., half:].addcmul_(x_NHD[..., :half], sin_N1D[..., half:], value=sign)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))
