"""The mean of the rows that used to spell the token, at the usual length of a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..initialisation import Init, Table, subword_mean
from ..norms import match_norms

REVISION = 1


def mean_subword(table: Table, prepared: Any) -> np.ndarray:
    """Rows [N, D]; reserved tokens get the mean of all rows. The length is ours: a mean of n unlike rows has only some
    1/√n of theirs."""
    return match_norms(subword_mean(table), table)


INIT = Init(rows=mean_subword, revision=REVISION, paper="Gee et al. 2022 (arXiv:2402.09977), fast vocabulary transfer")
