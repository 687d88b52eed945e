"""Karcher: the Riemannian mean of the models' directions, at their mean length."""

from __future__ import annotations

import numpy as np

from ..angles import combine, cosines, mean_direction
from ..method import Block, Method, Mixed, Settings
from ..mix import divisor
from ..survey import gram

REVISION = 1


def karcher(models_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ = (Σ_t w_t·‖θ_t‖)·x, x the point of the unit sphere with the least Σ_t w_t·angle(x, θ_t)² (arXiv:2603.04972).

    Each tensor is one flat vector; weights are taken relative to their sum (MergeKit's are equal); zero tensors have no
    direction and only shorten the result. Found from the Gram matrix in float64 until it moves no more, where MergeKit
    stops after `max_iter` steps or at `tol`. Symmetric in the models; one model gives itself back.
    """
    weights_M = np.array(settings.weights) / divisor(settings.weights)
    norms_M = np.sqrt(np.maximum(block.survey.diagonal(), 0))
    there = norms_M > 0
    coefficients_M = np.zeros(len(norms_M))
    if there.any():
        inside = np.ix_(there, there)
        share = weights_M[there] / weights_M[there].sum()
        direction = mean_direction(cosines(block.survey[inside]), share) if there.sum() > 1 else np.ones(1)
        coefficients_M[there] = (weights_M @ norms_M) / norms_M[there] * direction
    mixed_N = combine(models_MN, coefficients_M)
    return Mixed(mixed_N, (mixed_N.size,) * len(models_MN))


METHOD = Method(
    run=karcher,
    revision=REVISION,
    normalize=None,
    knobs=frozenset(),
    needs_base=False,
    positive=True,
    survey=gram,
    paper="arXiv:2603.04972",
)
