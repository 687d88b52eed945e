"""Consensus TIES: keep the elements of the TIES-merged task vector that enough models claim (TALL masks)."""

from __future__ import annotations

import numpy as np

from ..drops import trim_all
from ..method import Block, Method, Mixed, Settings
from ..mix import claimed, elected_sum

REVISION = 1


def consensus_ties(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ - θ₀ = τ·1{Σ_t m_t ≥ k}, τ the TIES merge (trim, elect, disjoint merge), m_t = 1{|τ_t| > λ·|τ - τ_t|}.

    Wang et al., arXiv:2405.07813, sections 4 and 5 and their table of TIES variants. The masks compare the whole,
    untrimmed τ_t; λ scales their threshold, not the result. Symmetric in the models.
    """
    trimmed = trim_all(deltas_MN, settings, block)
    mixed_N, _ = elected_sum(trimmed, settings.weights, normalize=settings.normalize)
    chosen_N = claimed(deltas_MN, mixed_N, lambda_=settings.lambda_, k=settings.k)
    mixed_N *= chosen_N
    return Mixed(mixed_N, (int(np.count_nonzero(chosen_N)),) * len(deltas_MN))


METHOD = Method(
    run=consensus_ties,
    revision=REVISION,
    normalize=True,
    knobs=frozenset({"density", "lambda_", "k"}),
    trims=True,
    paper="arXiv:2405.07813",
)
