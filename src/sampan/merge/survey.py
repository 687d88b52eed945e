"""Sums over a whole tensor, gathered before it is merged: what methods with angles or ranks must know.

A tensor is read in grains of 2^17 elements (or the whole rows that fit) from its start, whatever the block size of the
merge. Each grain is summed in float64 by NumPy's pairwise summation, without BLAS, and the grains' sums are added in
order: neither block size nor threads change a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .folders import Reader
from .method import Block, Grains, Settings

GRAIN = 1 << 17


def grains_of(base: Reader | None, models: Sequence[Reader], whole: Block, size: int, *, rows: bool) -> Grains:
    """A tensor's grains: float32 task vectors (the models themselves without a base), whole `rows` if asked."""
    columns = max(whole.columns, 1)
    step = max(1, GRAIN // columns) * columns if rows else GRAIN

    def grains():
        for start in range(0, size, step):
            stop = min(start + step, size)
            deltas_MN = np.stack([read(start, stop) for read in models])
            if base is not None:
                deltas_MN -= base(start, stop)
            yield replace(whole, start=start), deltas_MN

    return grains


def gram(grains: Grains, settings: Settings, size: int) -> np.ndarray:
    """The inner products of all pairs of models over the whole tensor, float64 [M, M]."""
    return sum(row_grams(deltas_MN, deltas_MN.shape[1])[0] for _, deltas_MN in grains())


def gram_unless_by_row(grains: Grains, settings: Settings, size: int) -> np.ndarray | None:
    """`gram`; None where angles are taken row by row, which need nothing of the whole tensor."""
    return None if settings.per_row else gram(grains, settings, size)


def row_grams(deltas_MN: np.ndarray, columns: int) -> np.ndarray:
    """The inner products of all pairs of models within each row of `columns` elements, float64 [R, M, M]."""
    models, size = deltas_MN.shape
    wide_MRC = deltas_MN.astype(np.float64).reshape(models, size // columns, columns)
    gram_RMM = np.empty((size // columns, models, models))
    for i in range(models):
        for j in range(i, models):
            gram_RMM[:, i, j] = gram_RMM[:, j, i] = (wide_MRC[i] * wide_MRC[j]).sum(axis=1)
    return gram_RMM
