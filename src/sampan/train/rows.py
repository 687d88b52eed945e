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


class _Reuse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, index, slots):
        ctx.save_for_backward(index, slots)
        ctx.count = rows.shape[0]
        return rows.index_select(0, index)

    @staticmethod
    def backward(ctx, grad):
        index, slots = ctx.saved_tensors
        kept = grad.contiguous().index_select(0, slots)
        return grad.new_zeros(ctx.count, *grad.shape[1:]).index_copy_(0, index[slots], kept), None, None


def spread_rows(rows: torch.Tensor, index: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """`rows[index]`, where `inverse` is the one slot of each row whose gradient counts; the other slots are padding."""
    return _Spread.apply(rows, index, inverse)


def pick_rows(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """`rows[index]` for an index without repeats; the other rows get no gradient."""
    return _Pick.apply(rows, index)


def reuse_rows(rows: torch.Tensor, index: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
    """`rows[index]`, where only `slots` of it, none of them the same row, have a gradient; the rest is padding."""
    return _Reuse.apply(rows, index, slots)
