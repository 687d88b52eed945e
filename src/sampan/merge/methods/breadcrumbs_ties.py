"""Model Breadcrumbs with TIES' sign election: drop the smallest and the largest, elect, add those that agree."""

from __future__ import annotations

import numpy as np

from ..drops import band_all, band_survey
from ..method import Block, Method, Mixed, Settings
from ..mix import elected_sum

REVISION = 1


def breadcrumbs_ties(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """Breadcrumbs' masks (arXiv:2312.06795, section 3), then elect and disjoint merge as in TIES.

    The agreeing elements are summed; `normalize` divides by their weights' sum; times λ. At density 1 it is ties at
    density 1. Symmetric in the models.
    """
    kept = band_all(deltas_MN, settings, block)
    return Mixed(*elected_sum(kept, settings.weights, normalize=settings.normalize, scale=settings.lambda_))


METHOD = Method(
    run=breadcrumbs_ties,
    revision=REVISION,
    normalize=False,
    knobs=frozenset({"density", "gamma", "lambda_"}),
    survey=band_survey,
    paper="arXiv:2312.06795",
)
