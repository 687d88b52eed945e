"""Model Stock: towards the mean of the fine-tuned models, as far as their angle says."""

from __future__ import annotations

import numpy as np

from ..angles import combine, cosines
from ..method import Block, Method, Mixed, Settings
from ..survey import gram_unless_by_row, row_grams

REVISION = 1


def model_stock(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ = r·mean(θ_t) + (1 - r)·θ₀ with r = M·cos φ / (1 + (M - 1)·cos φ) (Jang et al., arXiv:2403.19522, section 4).

    cos φ is the mean cosine over the pairs of task vectors of the tensor (`per_row`: of each row, MergeKit's
    `filter_wise`). Where 1 + (M - 1)·cos φ is zero the base stays. It has no weights: all models count alike.
    Symmetric; M equal models give themselves, orthogonal ones the base.
    """
    models = len(deltas_MN)
    grams = row_grams(deltas_MN, block.columns) if settings.per_row else block.survey[None]
    pairs = np.triu_indices(models, 1)
    cosine_R = np.array([cosines(gram_MM)[pairs].mean() for gram_MM in grams])
    below_R = 1 + (models - 1) * cosine_R
    ratio_R = np.divide(models * cosine_R, below_R, out=np.zeros_like(below_R), where=np.abs(below_R) >= 1e-6)
    mixed_N = combine(deltas_MN, np.repeat(ratio_R[:, None] / models, models, axis=1))
    return Mixed(mixed_N, (mixed_N.size,) * models)


METHOD = Method(
    run=model_stock,
    revision=REVISION,
    normalize=None,
    knobs=frozenset({"per_row"}),
    grain="row",
    weighted=False,
    models=(2, None),
    survey=gram_unless_by_row,
    paper="arXiv:2403.19522",
)
