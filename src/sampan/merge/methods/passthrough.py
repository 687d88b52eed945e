"""Passthrough: tensors as they are, to stack layers of one or several models."""

from __future__ import annotations

import numpy as np

from ..method import Block, Method, Mixed, Settings
from ..mix import linear_mix

REVISION = 1


def passthrough(models_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ = w·θ_1: one model (M = 1) per slice, its weight being MergeKit's `scale`, 1 unless it is set.

    With slices of layers it makes a deeper model: depth up-scaling, Kim et al., SOLAR 10.7B, arXiv:2312.15166, section
    2. At weight 1 the tensor's bytes come out as they went in.
    """
    return Mixed(linear_mix(models_MN, settings.weights, normalize=False), (models_MN.shape[1],))


METHOD = Method(
    run=passthrough,
    revision=REVISION,
    normalize=None,
    knobs=frozenset(),
    needs_base=False,
    models=(1, 1),
    paper="arXiv:2312.15166",
)
