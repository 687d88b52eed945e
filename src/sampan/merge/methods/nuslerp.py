"""NuSLERP: slerp with weights, for any number of models, of the models or of their task vectors."""

from __future__ import annotations

import numpy as np

from ..angles import combine, cosines, mean_direction
from ..method import Block, Method, Mixed, Settings
from ..mix import divisor
from ..survey import gram_unless_by_row, row_grams

REVISION = 1


def nuslerp(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """Σ_t c_t·v_t, where Σ_t c_t·v_t/‖v_t‖ is the weighted mean of the directions on the sphere.

    Goddard et al., MergeKit (arXiv:2403.13257), whose method of this name takes two models: there c is slerp's, with
    t = w_2/(w_1 + w_2) and the tensors themselves mixed. For more models c is that of the Karcher mean, of which slerp
    is the case of two (ours). With a base the v_t are task vectors, without it the models. `per_row` takes the angles
    of each row (MergeKit's `nuslerp_flatten: false`). Weights are always taken relative to their sum. Symmetric in
    the models; equal models give themselves back.
    """
    weights_M = np.array(settings.weights) / divisor(settings.weights)
    if abs(sum(settings.weights)) < 1e-6:
        weights_M = np.full(len(weights_M), 1 / len(weights_M))
    grams = row_grams(deltas_MN, block.columns) if settings.per_row else block.survey[None]
    mixed_N = combine(deltas_MN, np.stack([mean_direction(cosines(g_MM), weights_M) for g_MM in grams]))
    return Mixed(mixed_N, (mixed_N.size,) * len(deltas_MN))


METHOD = Method(
    run=nuslerp,
    revision=REVISION,
    normalize=None,
    knobs=frozenset({"per_row"}),
    grain="row",
    needs_base=False,
    base_optional=True,
    models=(2, None),
    survey=gram_unless_by_row,
    paper="arXiv:2403.13257",
)
