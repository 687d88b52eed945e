"""Moments in 8 bits: a code for each number and a scale for each block of a row (Dettmers et al., arXiv:2110.02861 §2).

A code is a place in a table whose values crowd around zero (dynamic tree quantisation), so that numbers a millionth of
the block's largest are still told apart. Blocks lie inside rows: what divides a matrix by rows, as FSDP2 and
checkpoints do, divides codes and scales alike. Of the second moment the root is kept, which has the first one's range,
and what is above zero stays so: a denominator that vanishes would make the next update endless.

Shapes: R rows, C columns, B blocks of a row.
"""

from __future__ import annotations

import functools

import torch

_WIDEST = 256
"""Columns of a block, at most."""
_DECADES = 7


def blocks_of(columns: int) -> int:
    """Blocks of equal width that a row is cut into."""
    count = -(-columns // _WIDEST)
    while columns % count:
        count += 1
    return count


def encode(values_RC: torch.Tensor, codes_RC: torch.Tensor, scale_RB: torch.Tensor, *, signed: bool) -> None:
    """Write float32 values as codes (uint8) and scales (float32), in place."""
    values = values_RC if signed else values_RC.sqrt()
    blocks_RBW = values.unflatten(1, (scale_RB.shape[1], -1))
    scale_RB.copy_(blocks_RBW.abs().amax(-1))
    shares = (blocks_RBW / scale_RB.clamp_min(torch.finfo(torch.float32).tiny)[..., None]).flatten(1)
    _, middles = _table(signed, values.device)
    codes = torch.bucketize(shares, middles, out_int32=True)
    if not signed:
        codes = torch.where(values > 0, codes.clamp_min(1), codes)
    codes_RC.copy_(codes)


def decode(codes_RC: torch.Tensor, scale_RB: torch.Tensor, *, signed: bool) -> torch.Tensor:
    """The float32 values [R, C] that codes and scales stand for."""
    table, _ = _table(signed, codes_RC.device)
    blocks_RBW = table[codes_RC.int()].unflatten(1, (scale_RB.shape[1], -1))
    values = blocks_RBW.mul_(scale_RB[..., None]).flatten(1)
    return values if signed else values.square_()


@functools.cache
def _table(signed: bool, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The 256 values in ascending order, and the middles between neighbours."""
    values = [0.0, 1.0]
    for decade in range(_DECADES):
        count = 2 ** (_DECADES - 1 - decade) * (1 if signed else 2)
        step = 0.9 / count
        parts = [(0.1 + step * (place + 0.5)) * 10.0**-decade for place in range(count)]
        values += [*parts, *(-part for part in parts)] if signed else parts
    table = torch.tensor(sorted(values), dtype=torch.float32)
    return table.to(device), ((table[1:] + table[:-1]) / 2).to(device)
