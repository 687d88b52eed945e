"""The mean of the rows that used to spell the token, weighted by position: the end for reading, the start for saying.

A model that has read the old spelling stands on its last part, and one that is about to say the token says its first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..initialisation import Init, Table, subword_mean
from ..norms import match_norms

REVISION = 1
HALVING = 0.5
"""Each step away from the favoured end halves the weight; ours."""


def position_weights(count: int, side: str) -> np.ndarray:
    """The weights of `count` parts, which sum to 1: falling for the output, rising for the input, and for a tied
    matrix the mean of both."""
    falling = HALVING ** np.arange(count)
    falling /= falling.sum()
    rising = falling[::-1]
    return {"output": falling, "input": rising, "tied": (falling + rising) / 2}[side].astype(np.float32)


def weighted_subword(table: Table, prepared: Any) -> np.ndarray:
    """Rows [N, D]; reserved tokens get the mean of all rows."""
    return match_norms(subword_mean(table, lambda count: position_weights(count, table.side)), table)


INIT = Init(
    rows=weighted_subword,
    revision=REVISION,
    paper="Nakash et al. 2025 (arXiv:2503.19693), exponential weights; the factor and the tied form are ours",
)
