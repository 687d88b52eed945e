"""Linear: the weighted mean (or sum) of the models themselves, "model soup"."""

from __future__ import annotations

import numpy as np

from ..method import Block, Method, Mixed, Settings
from ..mix import linear_mix

REVISION = 1


def linear(models_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ = Σ_t w_t·θ_t, divided by Σ_t w_t if `normalize` (Wortsman et al., "Model soups", arXiv:2203.05482).

    `models_MN` holds parameters, not task vectors. Symmetric in the models; equal models with `normalize` give
    themselves back; without `normalize` the weights should sum to 1.
    """
    mixed_N = linear_mix(models_MN, settings.weights, normalize=settings.normalize)
    return Mixed(mixed_N, (mixed_N.size,) * len(models_MN))


METHOD = Method(
    run=linear,
    revision=REVISION,
    normalize=True,
    knobs=frozenset(),
    needs_base=False,
    fused="keep+sum",
    paper="arXiv:2203.05482",
)
