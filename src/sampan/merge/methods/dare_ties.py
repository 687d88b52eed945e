"""DARE with TIES' sign election: drop at random, rescale, elect, add those that agree."""

from __future__ import annotations

import numpy as np

from ..drops import dare_all, dare_survey
from ..method import Block, Method, Mixed, Settings
from ..mix import elected_sum

REVISION = 1


def dare_ties(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """DARE(τ_t), then TIES elect and disjoint merge without its trim (Yu et al., arXiv:2311.03099, section 3).

    As MergeKit has it, the agreeing elements are summed; `normalize` divides by their weights' sum. At density 1 the
    seed does not matter and the result is that of ties at density 1.
    """
    dropped = dare_all(deltas_MN, settings, block)
    return Mixed(*elected_sum(dropped, settings.weights, normalize=settings.normalize, scale=settings.lambda_))


METHOD = Method(
    run=dare_ties,
    revision=REVISION,
    normalize=False,
    knobs=frozenset({"density", "lambda_", "compat"}),
    survey=dare_survey,
    fused="dare+elect",
    paper="arXiv:2311.03099",
)
