"""SCE: select the elements on which models differ most, weigh models by what is left, erase minority signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..method import Block, Grains, Method, Mixed, Settings
from ..mix import elected_sum
from ..sparsify import kth_magnitudes

REVISION = 1


@dataclass(frozen=True)
class Found:
    """What a tensor's merge must know of the whole of it."""

    threshold: float
    """Least variance of a selected element."""
    weights: tuple[float, ...]
    """Per model its share of the selected elements' squares."""


def sce(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """Select, calculate, erase (Wan et al., FuseChat, arXiv:2408.07990, section 3.3).

    Selected are the `density` share of the elements whose variance over the models is not zero, those of greatest
    variance (equal ones all); a model's weight in this tensor is its share of the selected squares; the elements that
    bear the elected sign (of the unweighted sum) are averaged with these weights. So there are no weights to set. The
    squares are compared with nothing but zero, where MergeKit takes equal weights as soon as their mean is below 1e-6.
    Symmetric in the models; one model at density 1 gives itself.
    """
    selected_MN = _select(deltas_MN, block.survey.threshold)
    return Mixed(*elected_sum(selected_MN, block.survey.weights, normalize=True, votes=[1.0] * len(deltas_MN)))


def survey(grains: Grains, settings: Settings, size: int) -> Found:
    """The variance from which elements are selected, and the models' weights."""
    threshold = 0.0
    if settings.density[0] < 1:
        differ = sum(int(np.count_nonzero(variance_N)) for variance_N in map(_variance_in, grains()))
        keep = int(settings.density[0] * differ)
        threshold = kth_magnitudes(lambda: zip(map(_variance_in, grains())), [[keep]])[0][0] if keep else np.inf
    squares_M = sum((_select(deltas_MN, threshold).astype(np.float64) ** 2).sum(axis=1) for _, deltas_MN in grains())
    total, models = squares_M.sum(), len(squares_M)
    return Found(threshold, tuple((squares_M / total if total > 0 else np.full(models, 1 / models)).tolist()))


def _variance(deltas_MN: np.ndarray) -> np.ndarray:
    """Per element the variance over the models, float32, added up in their order whatever the block."""
    models = np.float32(len(deltas_MN))
    mean_N = sum(deltas_MN[1:], deltas_MN[0].copy()) / models
    return sum(((delta_N - mean_N) ** 2 for delta_N in deltas_MN), np.float32(0)) / models


def _variance_in(grain: tuple[Block, np.ndarray]) -> np.ndarray:
    return _variance(grain[1])


def _select(deltas_MN: np.ndarray, threshold: float) -> np.ndarray:
    return deltas_MN if threshold <= 0 else deltas_MN * (_variance(deltas_MN) >= np.float32(threshold))


METHOD = Method(
    run=sce,
    revision=REVISION,
    normalize=None,
    knobs=frozenset({"density"}),
    weighted=False,
    survey=survey,
    paper="arXiv:2408.07990",
)
