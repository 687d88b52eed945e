"""Mixing task vectors: a weighted sum, or the sum of those whose sign wins the vote.

Shapes: M models, N elements; all float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_NOTHING = 1e-8


def divisor(weights: Sequence[float]) -> float:
    """The sum of weights that a normalised mix divides by; 1 if it is zero, as in MergeKit."""
    total = float(sum(weights))
    return total if abs(total) >= _NOTHING else 1.0


def elected_sum(
    vectors: Sequence[np.ndarray],
    weights: Sequence[float],
    *,
    normalize: bool,
    scale: float = 1.0,
    votes: Sequence[float] | None = None,
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Elect a sign per element and sum the weighted vectors that bear it (TIES, arXiv:2306.01708, section 3.1).

    The elected sign is that of Σ_t w_t·v_t (or of Σ_t votes_t·v_t), zero counting as plus; a zero element never agrees.
    `normalize` divides by the sum of the agreeing weights (1 where it is zero): with equal weights this is the paper's
    disjoint mean. Returns the result and, per model, how many elements agreed.
    """
    weighted = _scaled(vectors, weights)
    plus_N = _vote(weighted if votes is None else _scaled(vectors, votes))
    total_N, kept = np.zeros_like(weighted[0]), []
    sum_N = np.zeros_like(total_N) if normalize else None
    for vector_N, weight in zip(weighted, weights, strict=True):
        agrees_N = (vector_N > 0) == plus_N
        agrees_N &= vector_N != 0
        total_N += vector_N * agrees_N
        kept.append(int(np.count_nonzero(agrees_N)))
        if sum_N is not None:
            sum_N += agrees_N * np.float32(weight)
    if sum_N is not None:
        sum_N[np.abs(sum_N) < _NOTHING] = 1
        total_N /= sum_N
    if scale != 1:
        total_N *= np.float32(scale)
    return total_N, tuple(kept)


def _scaled(vectors: Sequence[np.ndarray], weights: Sequence[float]) -> list[np.ndarray]:
    return [v_N * np.float32(w) if w != 1 else v_N for v_N, w in zip(vectors, weights, strict=True)]


def _vote(vectors: Sequence[np.ndarray]) -> np.ndarray:
    vote_N = vectors[0].copy()
    for vector_N in vectors[1:]:
        vote_N += vector_N
    return vote_N >= 0


def claimed(deltas_MN: np.ndarray, mixed_N: np.ndarray, *, lambda_: float, k: int) -> np.ndarray:
    """Which elements at least `k` models claim: TALL masks |τ_t| > λ·|τ - τ_t| (arXiv:2405.07813, section 4), counted.

    The paper has ≥; the strict > is MergeKit's of late 2024. The task vectors are the whole, unweighted ones.
    """
    claims_N = np.zeros(mixed_N.size, np.uint16)
    for delta_N in deltas_MN:
        rest_N = np.abs(mixed_N - delta_N)
        rest_N *= np.float32(lambda_)
        claims_N += np.abs(delta_N) > rest_N
    return claims_N >= k


def linear_mix(
    vectors: Sequence[np.ndarray], weights: Sequence[float], *, normalize: bool, lambda_: float = 1.0
) -> np.ndarray:
    """λ·Σ_t w_t·v_t, divided by Σ_t w_t if `normalize`. Scaled after the sum, so that equal vectors average exactly."""
    total_N = vectors[0] * np.float32(weights[0])
    for vector_N, weight in zip(vectors[1:], weights[1:], strict=True):
        total_N += vector_N if weight == 1 else vector_N * np.float32(weight)
    if normalize:
        total_N /= np.float32(divisor(weights))
    if lambda_ != 1:
        total_N *= np.float32(lambda_)
    return total_N
