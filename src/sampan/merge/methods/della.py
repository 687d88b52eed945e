"""DELLA: drop small elements more often, rescale, elect a sign, fuse those that agree."""

from __future__ import annotations

import numpy as np

from ..drops import magprune_all, magprune_survey
from ..method import Block, Method, Mixed, Settings
from ..mix import elected_sum

REVISION = 1


def della(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """MAGPRUNE(τ_t), elect, fuse: θ - θ₀ = λ·Σ of the agreeing w_t·τ̂_t (Deep et al., arXiv:2406.11617, section 3).

    `normalize` divides by the sum of the agreeing weights. At density 1 it is ties at density 1. Blocks are whole
    rows, since elements are ranked within their row.
    """
    dropped = magprune_all(deltas_MN, settings, block)
    return Mixed(*elected_sum(dropped, settings.weights, normalize=settings.normalize, scale=settings.lambda_))


METHOD = Method(
    run=della,
    revision=REVISION,
    normalize=True,
    knobs=frozenset({"density", "epsilon", "lambda_", "compat"}),
    grain="row",
    survey=magprune_survey,
    fused="magprune+elect",
    paper="arXiv:2406.11617",
)
