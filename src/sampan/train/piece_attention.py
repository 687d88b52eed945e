"""Causal attention piece by piece on a CPU: nothing is padded, gathered or put together again.

The packed rows are cut into blocks of queries: equal parts of one piece, or several short pieces. A block's keys are
those of its piece up to its end, so that about nothing right of the diagonal is computed, and its products, over all
heads at once, run at the speed of matrix products. torch's CPU kernel, which computes the whole square up to 512 keys,
takes the pieces that are so long that it loses little by it.

Shapes: T tokens, B queries of a block, W keys that they see, H heads, K key-value heads, R = H / K, N = R · B, D head
width, L tokens of a long piece.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

_kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_kernel_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_softmax_backward = torch.ops.aten._softmax_backward_data.out
_QUERIES = 128
"""Most queries of a block. On one core 64 and 192 are slower (ours)."""
_LONG = 768
"""Tokens above which a piece is left to torch's kernel: at 512 blocks take 0.8 of its time, at 1,024 as much (ours)."""


@dataclass(frozen=True)
class Block:
    """Queries `start` to `end` of the packed rows, which see the keys from `first` to `end`, or fewer of the last B as
    `mask_BB` says: 0 or -inf, to be added to their scores. None: a long piece."""

    first: int
    start: int
    end: int
    mask_BB: torch.Tensor | None
    last: bool
    """Whether nobody after this block sees these keys."""

    @property
    def numbers(self) -> int:
        """Probabilities of one head that may be kept."""
        return (self.end - self.start) * (self.end - self.first) if self.mask_BB is not None else 0


def suits(query_THD: torch.Tensor, value_TKD: torch.Tensor) -> bool:
    """Whether `attend_pieces` can take these."""
    known = query_THD.device.type == "cpu" and query_THD.dtype == torch.float32
    plain = not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()
    return known and plain and query_THD.shape[-1] == value_TKD.shape[-1]


def attend_pieces(
    query_THD: torch.Tensor,
    key_TKD: torch.Tensor,
    value_TKD: torch.Tensor,
    lengths: Sequence[int],
    scale: float | None,
    *,
    keep: bool = False,
) -> torch.Tensor:
    """Attention [T, H, D] inside each of the pieces that lie end to end; `scale` is 1 / sqrt(D) if None. `keep`: the
    probabilities are kept for the backward pass (see `kept_numbers`)."""
    scale = query_THD.shape[-1] ** -0.5 if scale is None else scale
    return _Pieces.apply(query_THD, key_TKD, value_TKD, _blocks(tuple(lengths)), scale, keep)


def kept_numbers(lengths: Sequence[int], heads: int) -> int:
    """How many numbers `attend_pieces` keeps with `keep`."""
    return heads * sum(block.numbers for block in _blocks(tuple(lengths)))


@functools.lru_cache(maxsize=4)
def _blocks(lengths: tuple[int, ...]) -> tuple[Block, ...]:
    """Blocks of pieces that lie end to end, in their order."""
    out: list[Block] = []
    short: list[int] = []
    start = 0
    for length in lengths:
        if short and sum(short) + length > _QUERIES:
            out.append(_together(start, short))
            short = []
        if length <= _QUERIES:
            short.append(length)
        elif length > _LONG:
            out.append(Block(start, start, start + length, None, True))
        else:
            out += _parts(start, length)
        start += length
    if short:
        out.append(_together(start, short))
    return tuple(out)


def _together(end: int, lengths: Sequence[int]) -> Block:
    """One block for all pieces of these lengths, the last of which ends at `end`."""
    owner_B = torch.repeat_interleave(torch.tensor(lengths))
    mask_BB = _causal(len(owner_B)).masked_fill(owner_B[:, None] != owner_B, float("-inf"))
    start = end - len(owner_B)
    return Block(start, start, end, mask_BB, True)


def _parts(start: int, length: int) -> Iterator[Block]:
    """Blocks of about equal size for one piece."""
    count = -(-length // _QUERIES)
    places = [start + length * number // count for number in range(count + 1)]
    for low, high in zip(places, places[1:], strict=False):
        yield Block(start, low, high, _causal(high - low), high == start + length)


def _causal(size: int) -> torch.Tensor:
    return torch.full((size, size), float("-inf")).triu_(1)


class _Pieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query_THD, key_TKD, value_TKD, blocks: tuple[Block, ...], scale: float, keep: bool):
        asks_THD = torch.mul(query_THD, scale)
        out_THD, kept = torch.empty_like(asks_THD), []
        views = _views(asks_THD, key_TKD, value_TKD)
        out_KRTD = _heads_first(out_THD, key_TKD.shape[1])
        for block in blocks:
            if block.mask_BB is None:
                kept.append(_long(block, views, out_KRTD))
                continue
            asks_KND, key_KWD, value_KWD = _block(block, views)
            probs_KNW = _probabilities(block, asks_KND, key_KWD)
            rows = out_KRTD[:, :, block.start : block.end]
            rows.copy_(torch.bmm(probs_KNW, value_KWD).view(rows.shape))
            kept.append(probs_KNW if keep else None)
        ctx.save_for_backward(asks_THD, key_TKD, value_TKD, out_THD, *kept)
        ctx.blocks, ctx.scale = blocks, scale
        return out_THD

    @staticmethod
    def backward(ctx, grad_THD):
        asks_THD, key_TKD, value_TKD, out_THD, *kept = ctx.saved_tensors
        grads = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (asks_THD, key_TKD, value_TKD)]
        views, places = _views(asks_THD, key_TKD, value_TKD), _views(*grads)
        grad_KRTD, out_KRTD = (_heads_first(x, key_TKD.shape[1]) for x in (grad_THD, out_THD))
        for block, known in zip(reversed(ctx.blocks), reversed(kept), strict=True):
            if block.mask_BB is None:
                _long_backward(block, views, out_KRTD, known, grad_KRTD, places)
            else:
                _block_backward(block, views, known, grad_KRTD, places)
        grads[0].mul_(ctx.scale)
        return *grads, None, None, None


def _heads_first(x_THD: torch.Tensor, groups: int) -> torch.Tensor:
    """A view [K, R, T, D]."""
    return x_THD.unflatten(1, (groups, -1)).permute(1, 2, 0, 3)


def _views(query_THD, key_TKD, value_TKD) -> tuple[torch.Tensor, ...]:
    """Views [K, R, T, D], [K, T, D] and [K, T, D]."""
    return _heads_first(query_THD, key_TKD.shape[1]), key_TKD.transpose(0, 1), value_TKD.transpose(0, 1)


def _block(block: Block, views: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """A block's part [K, N, D] of its queries, [K, W, D] of its keys and of its values."""
    query_KRTD, *others = views
    rows = query_KRTD[:, :, block.start : block.end].flatten(1, 2)
    return rows, *(x_KTD[:, block.first : block.end] for x_KTD in others)


def _probabilities(block: Block, asks_KND: torch.Tensor, key_KWD: torch.Tensor) -> torch.Tensor:
    """What a block's queries make of its keys, [K, N, W]."""
    scores_KNW, size = torch.bmm(asks_KND, key_KWD.transpose(1, 2)), block.end - block.start
    scores_KNW.view(len(key_KWD), -1, size, key_KWD.shape[1])[..., -size:].add_(block.mask_BB)
    return torch.softmax(scores_KNW, -1, out=scores_KNW)


def _block_backward(block: Block, views, probs_KNW: torch.Tensor | None, grad_KRTD, places) -> None:
    """Write the gradient of a block's queries and add to those of its keys and values. Blocks come from the last to the
    first; `probs_KNW` is None if it was not kept."""
    asks_KND, key_KWD, value_KWD = _block(block, views)
    grad_KND, key_grad_KWD, value_grad_KWD = _block(block, (grad_KRTD, *places[1:]))
    if probs_KNW is None:
        probs_KNW = _probabilities(block, asks_KND, key_KWD)
    added = 0 if block.last else 1  # times what is there: nothing yet, or what later queries gave
    value_grad_KWD.baddbmm_(probs_KNW.transpose(1, 2), grad_KND, beta=added)
    inner_KNW = torch.bmm(grad_KND, value_KWD.transpose(1, 2))
    _softmax_backward(inner_KNW, probs_KNW, -1, inner_KNW.dtype, grad_input=inner_KNW)
    rows = places[0][:, :, block.start : block.end]
    rows.copy_(torch.bmm(inner_KNW, key_KWD).view(rows.shape))
    key_grad_KWD.baddbmm_(inner_KNW.transpose(1, 2), asks_KND, beta=added)


def _whole(block: Block, views: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Views [K, R, L, D] of a long piece's queries, keys and values."""
    query, key, value = (x[..., block.start : block.end, :] for x in views)
    return query, *(x[:, None].expand(query.shape) for x in (key, value))


def _long(block: Block, views, out_KRTD: torch.Tensor) -> torch.Tensor:
    """Write a long piece's attention; returns the logarithms of its softmaxes' sums."""
    out_KRLD, sum_KRL = _kernel(*_whole(block, views), 0.0, True, scale=1.0)
    out_KRTD[:, :, block.start : block.end].copy_(out_KRLD)
    return sum_KRL


def _long_backward(block: Block, views, out_KRTD, sum_KRL, grad_KRTD, places) -> None:
    """Write the gradients of a long piece's queries, keys and values."""
    rows = slice(block.start, block.end)
    out, grad = (x[:, :, rows] for x in (out_KRTD, grad_KRTD))
    query, *shared = _kernel_backward(grad, *_whole(block, views), out, sum_KRL, 0.0, True, scale=1.0)
    places[0][:, :, rows].copy_(query)
    for place_KTD, part_KRLD in zip(places[1:], shared, strict=True):
        place_KTD[:, rows].copy_(part_KRLD[:, 0] if part_KRLD.shape[1] == 1 else part_KRLD.sum(1))
