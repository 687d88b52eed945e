"""Quality buckets within one source: fixed shares, and weight moved from the tail to the head.

Source of the second: AI Singapore's course on pre-training (PAIP-Pretrain, W1D3), fourth step of its cascade.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from .exact import exact


def bucket_shares(sizes: Mapping[str, int], fixed: Mapping[str, float]) -> dict[str, Fraction]:
    """Each bucket's share of its source: as `fixed` says, over the buckets that hold anything, or else by size."""
    weights = {name: exact(fixed[name]) if fixed else Fraction(size) for name, size in sizes.items() if size}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def towards_head(shares: Mapping[str, Fraction], sizes: Mapping[str, int], head: str, tail: str) -> dict[str, Fraction]:
    """Move δ times the head's share from the tail to the head; what lies between keeps its share.

    δ = min(S_tail / S_head - 1, 1) where the tail is larger, else S_tail / (2 S_head), with sizes S. With shares by
    size the tail never falls below 0; with fixed ones it stops there. Sources without a head or a tail stay as they
    are.
    """
    if not sizes.get(head) or not sizes.get(tail):
        return dict(shares)
    ratio = Fraction(sizes[tail], sizes[head])
    delta = min(ratio - 1, Fraction(1)) if ratio > 1 else ratio / 2
    moved = min(shares[head] * delta, shares[tail])
    return {**shares, head: shares[head] + moved, tail: shares[tail] - moved}
