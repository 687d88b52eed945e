"""Consensus task arithmetic: keep the elements of the mixed task vector that enough models claim (TALL masks)."""

from __future__ import annotations

import numpy as np

from ..method import Block, Method, Mixed, Settings
from ..mix import claimed, linear_mix

REVISION = 1


def consensus_ta(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ - θ₀ = τ·1{Σ_t m_t ≥ k}, τ = Σ_t w_t·τ_t (÷ Σ_t w_t if `normalize`), m_t = 1{|τ_t| > λ·|τ - τ_t|}.

    Wang et al., arXiv:2405.07813, sections 4 and 5: k = 2 drops what no model or only one model claims. The strict >
    and the unweighted τ_t against the mixed, possibly normalised τ follow MergeKit's implementation of late 2024.
    Symmetric in the models. Un-normalised with λ = 1 it drops just what three or more equal vectors agree on.
    """
    mixed_N = linear_mix(deltas_MN, settings.weights, normalize=settings.normalize)
    chosen_N = claimed(deltas_MN, mixed_N, lambda_=settings.lambda_, k=settings.k)
    mixed_N *= chosen_N
    return Mixed(mixed_N, (int(np.count_nonzero(chosen_N)),) * len(deltas_MN))


METHOD = Method(
    run=consensus_ta, revision=REVISION, normalize=False, knobs=frozenset({"lambda_", "k"}), paper="arXiv:2405.07813"
)
