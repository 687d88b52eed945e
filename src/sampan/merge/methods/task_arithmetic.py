"""Task arithmetic: add the weighted task vectors."""

from __future__ import annotations

import numpy as np

from ..method import Block, Method, Mixed, Settings
from ..mix import linear_mix

REVISION = 1


def task_arithmetic(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ - θ₀ = λ·Σ_t w_t·τ_t, divided by Σ_t w_t if `normalize` (Ilharco et al., arXiv:2212.04089, section 2).

    Symmetric in the models and linear in the task vectors. Un-normalised sums of related models step past both.
    """
    mixed_N = linear_mix(deltas_MN, settings.weights, normalize=settings.normalize, lambda_=settings.lambda_)
    return Mixed(mixed_N, (mixed_N.size,) * len(deltas_MN))


METHOD = Method(
    run=task_arithmetic,
    revision=REVISION,
    normalize=False,
    knobs=frozenset({"lambda_"}),
    fused="keep+sum",
    paper="arXiv:2212.04089",
)
