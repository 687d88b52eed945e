"""DARE with a linear mix: drop at random, rescale, add."""

from __future__ import annotations

import numpy as np

from ..drops import count_kept, dare_all, dare_survey
from ..method import Block, Method, Mixed, Settings
from ..mix import linear_mix

REVISION = 1


def dare_linear(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ - θ₀ = λ·Σ_t w_t·DARE(τ_t), divided by Σ_t w_t if `normalize` (Yu et al., arXiv:2311.03099, section 3).

    Its mean over seeds is task arithmetic; at density 1 it is task arithmetic, whatever the seed.
    """
    dropped = dare_all(deltas_MN, settings, block)
    mixed_N = linear_mix(dropped, settings.weights, normalize=settings.normalize, lambda_=settings.lambda_)
    return Mixed(mixed_N, count_kept(dropped, settings))


METHOD = Method(
    run=dare_linear,
    revision=REVISION,
    normalize=False,
    knobs=frozenset({"density", "lambda_", "compat"}),
    survey=dare_survey,
    fused="dare+sum",
    paper="arXiv:2311.03099",
)
