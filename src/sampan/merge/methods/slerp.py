"""Slerp: two models along the arc between them."""

from __future__ import annotations

import numpy as np

from ..angles import PARALLEL, combine, cosines, slerp_pair
from ..method import Block, Method, Mixed, Settings
from ..survey import gram

REVISION = 1


def slerp(models_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ = [sin((1 - t)·φ)·θ_1 + sin(t·φ)·θ_2] / sin φ, φ the angle between the two tensors as flat vectors.

    Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985, section 3.3. M = 2 models, no base; `t` = 0
    gives the first, 1 the second. As in MergeKit the angle is that of the unit vectors while the tensors themselves are
    mixed, and tensors with |cos φ| > 0.9995 are mixed linearly. Swapping the models and t with 1 - t changes nothing.
    """
    cosine = float(cosines(block.survey)[0, 1])
    mixed_N = combine(models_MN, slerp_pair(cosine, settings.t, abs(cosine) > PARALLEL))
    return Mixed(mixed_N, (mixed_N.size,) * 2)


METHOD = Method(
    run=slerp,
    revision=REVISION,
    normalize=None,
    knobs=frozenset({"t"}),
    needs_base=False,
    weighted=False,
    models=(2, 2),
    survey=gram,
    paper="Shoemake, SIGGRAPH 1985",
)
