"""Packed attention through torch's FlexAttention on a GPU: soft caps, windows, float32, answers that share a prompt.

One mask says it all: a row sees those of its own piece that are not after it, and, if it goes on from another piece's
prompt, the beginning of that one; both within the window. Blocks of rows and keys that cannot see each other are left
out by the kernel, and those that see each other wholly need no mask. It is used only where `detect` has run it forward
and backward and found the numbers of the explicit form.

Shapes: T rows, N blocks of rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .packing import Layout

_BLOCK = 128
_found: dict[tuple, str] = {}
"""By device, dtype, heads, width and soft cap, why it cannot be used; empty if it can."""
_CLOSE = {torch.float32: 1e-2, torch.bfloat16: 4e-2, torch.float16: 1e-2}
"""Of numbers about 1: float32 may be multiplied in TF32, with 10 bits; a wrong mask or cap differs by 1e-1 and more."""


def usable(query: torch.Tensor, key: torch.Tensor, softcap: float | None) -> bool:
    """Whether `detect` has found it to work for these heads [1, H, T, D] and [1, K, T, D]."""
    what = (query.device.type, query.dtype, query.shape[1], key.shape[1], query.shape[-1], softcap)
    return _found.get(what, "not tried") == ""


def detect(
    device: str, dtype: torch.dtype, *, heads: int, groups: int, width: int, softcap: float | None, explicit: Callable
) -> str:
    """Try it and compare it with `explicit`, which attends as `attend` does; why it cannot be used, empty if it can."""
    what = (torch.device(device).type, dtype, heads, groups, width, softcap)
    if what not in _found:
        try:
            _found[what] = _try(torch.device(device), dtype, heads, groups, width, softcap, explicit)
        except Exception as error:  # whatever a compiler or an older torch may raise
            _found[what] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}" if str(error) else "?"
    return _found[what]


def _try(device, dtype, heads: int, groups: int, width: int, softcap, explicit: Callable) -> str:
    """Two packs, so that a second length is tried, with their gradients."""
    dice = torch.Generator().manual_seed(0)
    for lengths in ((200, 90), (50, 300, 3)):
        packing = Layout(lengths, device)
        rows = packing.tokens
        given = [
            torch.randn(1, n, rows, width, generator=dice).to(device, dtype).requires_grad_()
            for n in (heads, groups, groups)
        ]
        with torch.enable_grad(), torch.autocast(device.type, enabled=False):
            sides = [way(*given, packing, None, softcap, 64) for way in (attend, explicit)]
            grads = [torch.autograd.grad(side.float().square().sum(), given) for side in sides]
        for one, other in zip((sides[0], *grads[0]), (sides[1], *grads[1]), strict=True):
            if not (one - other).abs().max() <= _CLOSE[dtype] * max(1.0, float(other.abs().max())):
                return "its numbers are not those of the explicit form"
    return ""


def attend(query, key, value, packing: Layout, scaling, softcap, window) -> torch.Tensor:
    """Attention of [1, H, T, D] queries over [1, K, T, D] keys and values; [1, H, T, D]."""
    return _kernel(query.device.type == "cuda")(
        query,
        key,
        value,
        score_mod=None if softcap is None else _cap(softcap),
        block_mask=mask_of(packing, window),
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )


@functools.cache
def _kernel(compiled: bool) -> Callable[..., torch.Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True) if compiled else flex_attention


@functools.cache
def _cap(softcap: float) -> Callable[..., torch.Tensor]:
    def bend(score, batch, head, row, place):
        return torch.tanh(score / softcap) * softcap

    return bend


@torch.compiler.disable
def mask_of(packing: Layout, window: int | None) -> Any:
    """The block mask of a layout, made once for all layers of a window."""
    if window not in packing.block_masks:
        packing.block_masks[window] = _make_mask(packing, window)
    return packing.block_masks[window]


def _make_mask(packing: Layout, window: int | None) -> Any:
    from torch.nn.attention.flex_attention import BlockMask

    facts = row_facts(packing)
    piece_T, place_T, parent_T, known_T = (torch.from_numpy(fact).to(packing.device) for fact in facts)

    def sees(batch, head, row, key):
        own = (piece_T[row] == piece_T[key]) & (place_T[row] >= place_T[key])
        prompt = (parent_T[row] == piece_T[key]) & (known_T[row] > place_T[key])
        return (own | prompt) if window is None else (own | prompt) & (place_T[row] - place_T[key] < window)

    some_NN, all_NN = block_pairs(facts, window)
    parts = [_listed(pairs, packing.device) for pairs in (some_NN & ~all_NN, all_NN)]
    rows = len(piece_T)
    return BlockMask.from_kv_blocks(*parts[0], *parts[1], BLOCK_SIZE=_BLOCK, mask_mod=sees, seq_lengths=(rows, rows))


def _listed(pairs_NN: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts [1, 1, N] and numbers [1, 1, N, N] of the blocks of keys of each block of rows, real ones first."""
    order = np.argsort(~pairs_NN, axis=1, kind="stable").astype(np.int32)
    count = pairs_NN.sum(1).astype(np.int32)
    return tuple(torch.from_numpy(x).to(device)[None, None] for x in (count, order))


def row_facts(packing: Layout) -> tuple[np.ndarray, ...]:
    """Of every row: its piece and its place in it; the piece whose prompt it goes on from, or -1, and how much of it is
    known to it."""
    heads, tails = packing.lengths, packing.tails
    own = tails.own if tails else []
    shared = [width - count for width, count in zip(tails.widths, own, strict=True)] if tails else []
    parents = np.searchsorted(packing.starts, tails.prompts, "right") - 1 if tails else []
    lengths = [*heads, *own]
    first = np.cumsum([0, *lengths])[:-1]

    def spread(values: Any) -> np.ndarray:
        return np.repeat(np.asarray(values, np.int32), lengths)

    none = [0] * len(heads)
    piece = spread(range(len(lengths)))
    place = np.arange(len(piece), dtype=np.int32) - spread(first) + spread([*none, *shared])
    return piece, place, spread([*[-1] * len(heads), *parents]), spread([*none, *shared])


def block_pairs(facts: tuple[np.ndarray, ...], window: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Which blocks of rows and of keys [N, N] have a row and a key that see each other (or more), and which have no
    others."""
    piece, place, parent, _ = facts
    count = -(-len(piece) // _BLOCK)
    starts = np.arange(count) * _BLOCK
    ends = np.minimum(starts + _BLOCK, len(piece)) - 1
    low, high = piece[starts], piece[ends]
    below = np.tril(np.ones((count, count), bool))
    some = below & (high[None, :] >= low[:, None])
    for block in range(count):
        for one in np.unique(parent[starts[block] : ends[block] + 1]):
            if one >= 0:
                some[block] |= (low <= one) & (one <= high)
    alone = (low == high) & (parent[starts] < 0) & (ends - starts == _BLOCK - 1)
    whole = np.tril(np.ones((count, count), bool), -1) & (low[:, None] == low[None, :])
    whole &= alone[:, None] & alone[None, :]
    if window is not None:
        nearest, farthest = place[starts][:, None] - place[ends][None, :], place[ends][:, None] - place[starts][None, :]
        whole &= farthest < window
        some &= ~(alone[:, None] & alone[None, :] & (low[:, None] == low[None, :]) & (nearest >= window))
    return some, whole
