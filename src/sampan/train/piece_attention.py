"""Causal attention piece by piece on a CPU: nothing is padded, gathered or put together again.

A piece of middle length is cut into blocks of queries, whose keys are those up to the block's end: little right of the
diagonal is computed, and products over all heads at once run at the speed of matrix products. torch's CPU kernel, which
computes the whole square up to 512 keys, takes the short pieces, of which a block would be as large a square, and the
long ones, of which that is little.

Shapes: T tokens, B queries of a block, W keys that they see, H heads, K key-value heads, R = H / K, N = R · B, D head
width, L tokens of a piece that the kernel takes.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

_kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_kernel_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_softmax_backward = torch.ops.aten._softmax_backward_data.out
_SHORT = 48
"""Mean length below which a call for each piece costs more than gathering pieces into padded buckets (ours)."""
_QUERIES = 128
"""Most queries of a block, and tokens of a short piece. On one core 64 and 192 are slower (ours)."""
_LONG = 768
"""Tokens above which a piece is left to torch's kernel: at 512 blocks take 0.8 of its time, at 1,024 as much (ours)."""


@dataclass(frozen=True)
class Block:
    """Queries `start` to `end` of the packed rows, which see the keys from `first` to `end`, of the last B those that
    `mask_BB` leaves: 0 or -inf, added to their scores. None: a whole piece, for the kernel."""

    first: int
    start: int
    end: int
    mask_BB: torch.Tensor | None
    last: bool
    """Whether no later block sees these keys."""


def suits(query_THD: torch.Tensor, value_TKD: torch.Tensor, lengths: Sequence[int]) -> bool:
    """Whether `attend_pieces` can take these, and should."""
    known = query_THD.device.type == "cpu" and query_THD.shape[-1] == value_TKD.shape[-1]
    return known and sum(lengths) >= _SHORT * len(lengths) and not torch.compiler.is_compiling()


def attend_pieces(
    query_THD: torch.Tensor,
    key_TKD: torch.Tensor,
    value_TKD: torch.Tensor,
    lengths: Sequence[int],
    scale: float | None,
) -> torch.Tensor:
    """Attention [T, H, D] inside each of the pieces that lie end to end; `scale` is 1 / sqrt(D) if None."""
    divided = query_THD.dtype == torch.float32 and not torch.is_autocast_enabled(query_THD.device.type)
    scale = query_THD.shape[-1] ** -0.5 if scale is None else scale
    return _Pieces.apply(query_THD, key_TKD, value_TKD, _blocks(tuple(lengths), divided), scale)


@functools.lru_cache(maxsize=4)
def _blocks(lengths: tuple[int, ...], divided: bool) -> tuple[Block, ...]:
    """Blocks of pieces that lie end to end, in their order; whole pieces alone unless `divided`."""
    out, start = [], 0
    for length in lengths:
        if divided and _QUERIES < length <= _LONG:
            out += _parts(start, length)
        else:
            out.append(Block(start, start, start + length, None, True))
        start += length
    return tuple(out)


def _parts(start: int, length: int) -> Iterator[Block]:
    """Blocks of about equal size for one piece."""
    count = -(-length // _QUERIES)
    places = [start + length * number // count for number in range(count + 1)]
    for low, high in itertools.pairwise(places):
        yield Block(start, low, high, _causal(high - low), high == start + length)


def _causal(size: int) -> torch.Tensor:
    return torch.full((size, size), float("-inf")).triu_(1)


class _Pieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query_THD, key_TKD, value_TKD, blocks: tuple[Block, ...], scale: float):
        out_THD = torch.empty_like(query_THD, memory_format=torch.contiguous_format)
        views, sums = _views(query_THD, key_TKD, value_TKD), []
        out_KRTD = _heads_first(out_THD, key_TKD.shape[1])
        for block in blocks:
            rows = out_KRTD[:, :, block.start : block.end]
            if block.mask_BB is None:
                found, sum_KRL = _kernel(*_whole(block, views), 0.0, True, scale=scale)
                sums.append(sum_KRL)
            else:
                query_KND, key_KWD, value_KWD = _part(block, views)
                found = torch.bmm(_probabilities(block, query_KND, key_KWD, scale), value_KWD).view(rows.shape)
            rows.copy_(found)
        ctx.save_for_backward(query_THD, key_TKD, value_TKD, out_THD, *sums)
        ctx.blocks, ctx.scale = blocks, scale
        return out_THD

    @staticmethod
    def backward(ctx, grad_THD):
        query_THD, key_TKD, value_TKD, out_THD, *sums = ctx.saved_tensors
        given, groups = (query_THD, key_TKD, value_TKD), key_TKD.shape[1]
        grads = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in given]
        views, places = _views(*given), _views(*grads)
        out_KRTD, grad_KRTD = (_heads_first(x, groups) for x in (out_THD, grad_THD))
        for block in reversed(ctx.blocks):
            if block.mask_BB is None:
                _whole_backward(block, views, out_KRTD, sums.pop(), grad_KRTD, places, ctx.scale)
            else:
                _part_backward(block, views, grad_KRTD, places, ctx.scale)
        return *grads, None, None


def _heads_first(x_THD: torch.Tensor, groups: int) -> torch.Tensor:
    """A view [K, R, T, D]."""
    return x_THD.unflatten(1, (groups, -1)).permute(1, 2, 0, 3)


def _views(query_THD, key_TKD, value_TKD) -> tuple[torch.Tensor, ...]:
    """Views [K, R, T, D], [K, T, D] and [K, T, D]."""
    return _heads_first(query_THD, key_TKD.shape[1]), key_TKD.transpose(0, 1), value_TKD.transpose(0, 1)


def _part(block: Block, views: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """A block's queries [K, N, D], and its keys and values [K, W, D]."""
    query_KRTD, *others = views
    rows = query_KRTD[:, :, block.start : block.end].flatten(1, 2)
    return rows, *(x_KTD[:, block.first : block.end] for x_KTD in others)


def _probabilities(block: Block, query_KND: torch.Tensor, key_KWD: torch.Tensor, scale: float) -> torch.Tensor:
    """What a block's queries make of its keys, [K, N, W]."""
    scores_KNW, size = torch.bmm(query_KND, key_KWD.transpose(1, 2)).mul_(scale), block.end - block.start
    scores_KNW.view(len(key_KWD), -1, size, key_KWD.shape[1])[..., -size:].add_(block.mask_BB)
    return torch.softmax(scores_KNW, -1, out=scores_KNW)


def _part_backward(block: Block, views, grad_KRTD, places, scale: float) -> None:
    """Write the gradient of a block's queries and add to those of its keys and values; blocks come from the last to the
    first."""
    query_KND, key_KWD, value_KWD = _part(block, views)
    grad_KND, key_grad_KWD, value_grad_KWD = _part(block, (grad_KRTD, *places[1:]))
    probs_KNW = _probabilities(block, query_KND, key_KWD, scale)
    there = 0 if block.last else 1  # nothing is there yet, or what later queries gave
    value_grad_KWD.baddbmm_(probs_KNW.transpose(1, 2), grad_KND, beta=there)
    inner_KNW = torch.bmm(grad_KND, value_KWD.transpose(1, 2))
    _softmax_backward(inner_KNW, probs_KNW, -1, inner_KNW.dtype, grad_input=inner_KNW)
    inner_KNW.mul_(scale)
    rows = places[0][:, :, block.start : block.end]
    rows.copy_(torch.bmm(inner_KNW, key_KWD).view(rows.shape))
    key_grad_KWD.baddbmm_(inner_KNW.transpose(1, 2), query_KND, beta=there)


def _whole(block: Block, views: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Views [K, R, L, D] of a piece's queries, keys and values."""
    query, key, value = (x[..., block.start : block.end, :] for x in views)
    return query, *(x[:, None].expand(query.shape) for x in (key, value))


def _whole_backward(block: Block, views, out_KRTD, sum_KRL, grad_KRTD, places, scale: float) -> None:
    """Write the gradients of a piece's queries, keys and values."""
    rows = slice(block.start, block.end)
    out, grad = (x[:, :, rows] for x in (out_KRTD, grad_KRTD))
    query, *shared = _kernel_backward(grad, *_whole(block, views), out, sum_KRL, 0.0, True, scale=scale)
    places[0][:, :, rows].copy_(query)
    for place_KTD, part_KRLD in zip(places[1:], shared, strict=True):
        place_KTD[:, rows].copy_(part_KRLD[:, 0] if part_KRLD.shape[1] == 1 else part_KRLD.sum(1))
