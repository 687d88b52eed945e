"""TIES: trim small elements, elect a sign, merge those that agree."""

from __future__ import annotations

import numpy as np

from ..drops import trim_all
from ..method import Block, Method, Mixed, Settings
from ..mix import elected_sum

REVISION = 1


def ties(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """Trim, elect, disjoint merge (Yadav et al., arXiv:2306.01708, algorithm 1).

    Each task vector keeps its `density` largest magnitudes per tensor (`block.thresholds`, of the whole tensor); the
    sign with the larger weighted sum wins; the agreeing elements are summed, and divided by their weights' sum if
    `normalize` (the paper's form); times λ. Symmetric in the models; never larger in magnitude than Σ|w_t·τ_t|.
    """
    trimmed = trim_all(deltas_MN, settings, block)
    return Mixed(*elected_sum(trimmed, settings.weights, normalize=settings.normalize, scale=settings.lambda_))


METHOD = Method(
    run=ties,
    revision=REVISION,
    normalize=True,
    knobs=frozenset({"density", "lambda_"}),
    trims=True,
    fused="trim+elect",
    paper="arXiv:2306.01708",
)
