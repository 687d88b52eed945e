"""Rows by index, with gradients that exploit what the caller knows: no row is wanted twice, so nothing is summed."""

from __future__ import annotations

import torch


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, index, inverse):
        ctx.save_for_backward(inverse)
        return rows.index_select(0, index)

    @staticmethod
    def backward(ctx, grad):
        (inverse,) = ctx.saved_tensors
        return grad.contiguous().index_select(0, inverse), None, None


class _Pick(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, index):
        ctx.save_for_backward(index)
        ctx.count = rows.shape[0]
        return rows.index_select(0, index)

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved_tensors
        return grad.new_zeros(ctx.count, *grad.shape[1:]).index_copy_(0, index, grad.contiguous()), None


def spread_rows(rows: torch.Tensor, index: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """`rows[index]`, where `inverse` is the one slot of each row whose gradient counts; the other slots are padding."""
    return _Spread.apply(rows, index, inverse)


def pick_rows(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """`rows[index]` for an index without repeats; the other rows get no gradient."""
    return _Pick.apply(rows, index)
