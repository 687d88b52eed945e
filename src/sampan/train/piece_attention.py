"""Causal attention piece by piece on a CPU: nothing is padded, gathered or put together again.

Every piece is one call of torch's CPU kernel on a view of the packed rows; results and gradients are written to their
places in one tensor. Key and value heads that several query heads share are read through a view as well.

Shapes: T tokens, L tokens of a piece, H heads, K key-value heads, R = H / K, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

_kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_kernel_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_SHORT = 48
"""Mean length below which a call for each piece costs more than gathering pieces into padded buckets (ours)."""


def suits(query_THD: torch.Tensor, value_TKD: torch.Tensor, lengths: Sequence[int]) -> bool:
    """Whether `attend_pieces` can take these, and should."""
    kernel = query_THD.device.type == "cpu" and query_THD.shape[-1] == value_TKD.shape[-1]
    return kernel and sum(lengths) >= _SHORT * len(lengths) and not torch.compiler.is_compiling()


def attend_pieces(
    query_THD: torch.Tensor,
    key_TKD: torch.Tensor,
    value_TKD: torch.Tensor,
    lengths: Sequence[int],
    scale: float | None,
) -> torch.Tensor:
    """Attention [T, H, D] inside each of the pieces that lie end to end; `scale` is 1 / sqrt(D) if None."""
    return _Pieces.apply(query_THD, key_TKD, value_TKD, tuple(lengths), scale)


class _Pieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query_THD, key_TKD, value_TKD, lengths: tuple[int, ...], scale: float | None):
        out_THD = torch.empty_like(query_THD, memory_format=torch.contiguous_format)
        groups, sums = key_TKD.shape[1], []
        for rows in _spans(lengths):
            query, key, value = _views(query_THD[rows], key_TKD[rows], value_TKD[rows])
            out_KRLD, sum_KRL = _kernel(query, key, value, 0.0, True, scale=scale)
            _heads_first(out_THD[rows], groups).copy_(out_KRLD)
            sums.append(sum_KRL)
        ctx.save_for_backward(query_THD, key_TKD, value_TKD, out_THD, *sums)
        ctx.lengths, ctx.scale = lengths, scale
        return out_THD

    @staticmethod
    def backward(ctx, grad_THD):
        query_THD, key_TKD, value_TKD, out_THD, *sums = ctx.saved_tensors
        groups = key_TKD.shape[1]
        grads = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query_THD, key_TKD, value_TKD)]
        for rows, sum_KRL in zip(_spans(ctx.lengths), sums, strict=True):
            views = _views(query_THD[rows], key_TKD[rows], value_TKD[rows])
            out, grad = (_heads_first(x[rows], groups) for x in (out_THD, grad_THD))
            query, *shared = _kernel_backward(grad, *views, out, sum_KRL, 0.0, True, scale=ctx.scale)
            _heads_first(grads[0][rows], groups).copy_(query)
            for whole, part_KRLD in zip(grads[1:], shared, strict=True):
                part_KLD = part_KRLD[:, 0] if part_KRLD.shape[1] == 1 else part_KRLD.sum(1)
                whole[rows].copy_(part_KLD.transpose(0, 1))
        return *grads, None, None


def _spans(lengths: Sequence[int]) -> list[slice]:
    out, start = [], 0
    for length in lengths:
        out.append(slice(start, start + length))
        start += length
    return out


def _heads_first(x_LHD: torch.Tensor, groups: int) -> torch.Tensor:
    """A view [K, R, L, D]."""
    return x_LHD.unflatten(1, (groups, -1)).permute(1, 2, 0, 3)


def _views(query_LHD: torch.Tensor, key_LKD: torch.Tensor, value_LKD: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Views [K, R, L, D] of the three."""
    query = _heads_first(query_LHD, key_LKD.shape[1])
    return query, *(x.transpose(0, 1)[:, None].expand(query.shape) for x in (key_LKD, value_LKD))
