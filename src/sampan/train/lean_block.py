"""A decoder block in two functions around its attention, for float32 on a CPU.

Tensors of all tokens do not fit into a core's cache, so that every operation between two products waits for memory.
Here norm, projections and rotation, and norm, feed-forward layer and residual, are done a few hundred rows at a time,
and the gradients that come together at the residual are added where they are made. This is for blocks of Llama's
shape; one is known by what it gives for random numbers. Whatever is put into a block later (adapters, hooks, parts of
matrices) leaves it to its own code.

Shapes: N rows, D width, H heads, d head width, E = H · d.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from .attention import NAME, packed_attention
from .lean import (
    LEAST,
    PLACES,
    Gated,
    epsilon,
    gated_weights,
    is_gated,
    is_plain,
    norm_offset,
    normalise,
    normalise_backward,
    random,
    replace,
    rotates,
    same,
    spans,
    suits,
    turn,
)
from .packing import Layout

_PARTS = {"input_layernorm", "self_attn", "post_attention_layernorm", "mlp"}
_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
_TOLD = ("scaling", "sliding_window")


def use_lean_blocks(model: Any) -> list[str]:
    """Let the blocks of `model` that compute what is written here use it, in packed attention; returns their names.
    `lean.use_plain_parts` undoes it."""
    found = []
    for name, module in model.named_modules():
        known = _known(module) if all(map(suits, module.parameters())) else None
        if known is not None:
            replace(module, functools.partial(_lean_block, known))
            found.append(name)
    return found


def _known(block: nn.Module) -> Mapping[str, Any] | None:
    """What its attention is told and the offsets of its two norms, if this is a block of that shape."""
    if {name for name, _ in block.named_children()} != _PARTS or not _is_untouched(block):
        return None
    attention, config = block.self_attn, getattr(block.self_attn, "config", None)
    if getattr(config, "_attn_implementation", None) != NAME or not rotates(attention) or not is_gated(block.mlp):
        return None
    offsets = [norm_offset(norm) for norm in (block.input_layernorm, block.post_attention_layernorm)]
    if None in offsets:
        return None
    try:
        return _compare(block, offsets)
    except (AttributeError, RuntimeError, TypeError):
        return None


def _is_untouched(block: nn.Module) -> bool:
    """Whether nobody has put anything between or beside its layers."""
    attention = block.self_attn
    if {name for name, _ in attention.named_children()} != set(_PROJECTIONS):
        return False
    inner = [block.input_layernorm, block.post_attention_layernorm, block.mlp, attention]
    layers = [getattr(attention, name) for name in _PROJECTIONS]
    hooked = any(module._forward_hooks or module._forward_pre_hooks for module in (*inner, *layers))
    return not hooked and all(type(layer) is nn.Linear for layer in layers) and is_plain(block.mlp)


@torch.no_grad()
def _compare(block: nn.Module, offsets: list[float]) -> Mapping[str, Any] | None:
    attention = block.self_attn
    width, layout = attention.head_dim, Layout([PLACES - 3, 3])
    x_1ND = random(1, PLACES, attention.q_proj.in_features)
    turns = tuple(random(1, PLACES, width) + number for number in range(2))
    given: dict[str, Any] = {}
    told = {"position_embeddings": turns, "attention_mask": None, "packing": layout}
    with _listening(given):
        expected = type(block).forward(block, x_1ND, **told)
    known = {"told": {name: given[name] for name in _TOLD if name in given}, "offsets": offsets}
    if given.get("softcap") is not None or not isinstance(expected, torch.Tensor):
        return None
    return known if same(_through(block, known, x_1ND, turns, layout), expected) else None


@contextmanager
def _listening(given: dict[str, Any]) -> Iterator[None]:
    """Note what a block tells its attention."""
    from transformers import AttentionInterface

    def note(*args: Any, **more: Any) -> Any:
        given.update(more)
        return packed_attention(*args, **more)

    AttentionInterface.register(NAME, note)
    try:
        yield
    finally:
        AttentionInterface.register(NAME, packed_attention)


def _lean_block(
    known: Mapping[str, Any], block: nn.Module, plain: Callable[..., Any], x_BND: torch.Tensor, *args: Any, **more: Any
) -> Any:
    lean = len(x_BND) == 1 and not args and more.get("packing") is not None and more.get("past_key_values") is None
    if not lean or not all(map(suits, (x_BND, next(block.parameters())))) or not _is_untouched(block):
        return plain(block, x_BND, *args, **more)
    return _through(block, known, x_BND, more["position_embeddings"], more["packing"])


def _through(block: nn.Module, known: Mapping[str, Any], x_1ND: torch.Tensor, turns, packing: Layout) -> torch.Tensor:
    """The block's output for [1, N, D], with cosines and sines [1, N, d] to turn by."""
    attention, norms = block.self_attn, (block.input_layernorm, block.post_attention_layernorm)
    first, second = zip(known["offsets"], map(epsilon, norms), strict=True)
    query, key, value = (getattr(attention, name) for name in _PROJECTIONS[:3])
    layers = (query.weight, query.bias, key.weight, key.bias, value.weight, value.bias)
    cos_Nd, sin_Nd = (turn_1Nd[0] for turn_1Nd in turns)
    x_ND, *found = _Entry.apply(x_1ND[0], norms[0].weight, cos_Nd, sin_Nd, *first, *layers)
    heads = (y_NE.view(1, len(y_NE), -1, attention.head_dim).transpose(1, 2) for y_NE in found)
    made_1NHd, _ = packed_attention(attention, *heads, None, packing=packing, **known["told"])
    end = attention.o_proj
    x_ND = torch.addmm(x_ND, made_1NHd.flatten(2)[0], end.weight.t())
    if end.bias is not None:
        x_ND = x_ND + end.bias
    return Gated.apply(x_ND, norms[1].weight, *gated_weights(block.mlp), block.mlp.act_fn, *second)[None]


class _Entry(torch.autograd.Function):
    """The rows as they are, for the residual, and what queries, keys (both turned) and values are made of their norm
    [N, E]. `layers` are weights [E, D] and biases [E] or None of these three. Keeps nothing but the rows."""

    @staticmethod
    def forward(ctx, x_ND, norm_D, cos_Nd, sin_Nd, offset: float, epsilon: float, *layers):
        rate_N1, outs = x_ND.new_empty(len(x_ND), 1), [x_ND.new_empty(len(x_ND), len(w)) for w in layers[::2]]
        for span in spans(*x_ND.shape, least=LEAST):
            x = x_ND[span]
            y = normalise(x, norm_D + offset, epsilon, rate_N1[span], torch.empty_like(x))
            for number, (weight, bias, out) in enumerate(zip(layers[::2], layers[1::2], outs, strict=True)):
                made = torch.mm(y, weight.t(), out=out[span] if number == 2 else None)
                if bias is not None:
                    made.add_(bias)
                if number < 2:
                    _turn(made, cos_Nd[span], sin_Nd[span], 1, out[span])
        ctx.save_for_backward(x_ND, norm_D, rate_N1, cos_Nd, sin_Nd, *layers)
        ctx.offset = offset
        return x_ND, *outs

    @staticmethod
    def backward(ctx, beside_ND, *grads):
        x_ND, norm_D, rate_N1, cos_Nd, sin_Nd, *layers = ctx.saved_tensors
        out_ND, scale_D = torch.empty_like(x_ND), norm_D + ctx.offset
        given = zip(ctx.needs_input_grad[6:], layers, strict=True)
        layer_grads = [torch.zeros_like(each) if wanted else None for wanted, each in given]
        norm_grad = torch.zeros_like(norm_D) if ctx.needs_input_grad[1] else None
        for span in spans(*x_ND.shape, least=LEAST):
            x, rate = x_ND[span], rate_N1[span]
            y, inner = (x * rate).mul_(scale_D), torch.zeros_like(x)
            for number, grad_NE in enumerate(grads):
                grad = grad_NE[span]
                if number < 2:
                    grad = _turn(grad, cos_Nd[span], sin_Nd[span], -1, torch.empty_like(grad))
                weight_grad, bias_grad = layer_grads[2 * number : 2 * number + 2]
                if weight_grad is not None:
                    weight_grad.addmm_(grad.t(), y)
                if bias_grad is not None:
                    bias_grad += grad.sum(0)
                inner.addmm_(grad, layers[2 * number])
            normalise_backward(inner, x, rate, scale_D, out_ND[span], norm_grad)
            out_ND[span].add_(beside_ND[span])
        return out_ND, norm_grad, None, None, None, None, *layer_grads


def _turn(x_NE: torch.Tensor, cos_Nd, sin_Nd, sign: int, out_NE: torch.Tensor) -> torch.Tensor:
    heads = (len(x_NE), -1, cos_Nd.shape[-1])
    turn(x_NE.view(heads), cos_Nd, sin_Nd, sign, out_NE.view(heads))
    return out_NE
