"""Attention with its scores in full, by blocks of queries: soft caps (Gemma 2, arXiv:2408.00118 §2) and windows.

More than one block's scores are never there at once, in the backward pass too, which computes each block again: memory
grows with the length of a piece, not with its square. Keys that no query of a block may see are left out.

Shapes: S pieces, H heads, K key-value heads, Q queries, W keys, D head width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.checkpoint import checkpoint

_QUERIES = 256
"""Queries of a block (ours): shorter pieces, and pieces a little longer, have one block and keep its scores."""

Mask = Callable[[slice, slice], torch.Tensor]
"""Which of some keys some queries may see, in a shape that broadcasts to [S, H, queries, keys]."""


def attend_explicitly(
    query_SHQD: torch.Tensor,
    key_SKWD: torch.Tensor,
    value_SKWD: torch.Tensor,
    allowed: Mask,
    *,
    scaling: float | None,
    softcap: float | None,
    keys: Callable[[slice], slice],
) -> torch.Tensor:
    """Attention [S, H, Q, D] under a mask; `keys` says for some queries which keys any of them may see."""
    count = query_SHQD.shape[2]
    whole = slice(0, count)
    if count <= 1.5 * _QUERIES:
        return _block(query_SHQD, key_SKWD, value_SKWD, allowed, scaling, softcap, whole, keys(whole))
    given = (query_SHQD, key_SKWD, value_SKWD, allowed, scaling, softcap)
    spans = [slice(start, min(start + _QUERIES, count)) for start in range(0, count, _QUERIES)]
    parts = [
        checkpoint(_block, *given, span, keys(span), use_reentrant=False, preserve_rng_state=False) for span in spans
    ]
    return torch.cat(parts, 2)


def _block(query_SHQD, key_SKWD, value_SKWD, allowed: Mask, scaling, softcap, rows: slice, keys: slice) -> torch.Tensor:
    repeats = query_SHQD.shape[1] // key_SKWD.shape[1]
    sides = (x[:, :, keys] for x in (key_SKWD, value_SKWD))
    key, value = (x.repeat_interleave(repeats, 1) if repeats > 1 else x for x in sides)
    query = query_SHQD[:, :, rows]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = query @ key.transpose(-1, -2) * scale
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores.masked_fill(~allowed(rows, keys), float("-inf"))
    return scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value
