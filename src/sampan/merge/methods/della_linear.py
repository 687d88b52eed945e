"""DELLA without election: drop small elements more often, rescale, add."""

from __future__ import annotations

import numpy as np

from ..drops import count_kept, magprune_all, magprune_survey
from ..method import Block, Method, Mixed, Settings
from ..mix import linear_mix

REVISION = 1


def della_linear(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ - θ₀ = λ·Σ_t w_t·MAGPRUNE(τ_t), divided by Σ_t w_t if `normalize` (Deep et al., arXiv:2406.11617).

    Its mean over seeds is task arithmetic; at density 1 it is task arithmetic. Blocks are whole rows, since elements
    are ranked within their row.
    """
    dropped = magprune_all(deltas_MN, settings, block)
    mixed_N = linear_mix(dropped, settings.weights, normalize=settings.normalize, lambda_=settings.lambda_)
    return Mixed(mixed_N, count_kept(dropped, settings))


METHOD = Method(
    run=della_linear,
    revision=REVISION,
    normalize=False,
    knobs=frozenset({"density", "epsilon", "lambda_", "compat"}),
    grain="row",
    survey=magprune_survey,
    fused="magprune+sum",
    paper="arXiv:2406.11617",
)
