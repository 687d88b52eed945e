"""The mean of the rows that used to spell the token, as it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..initialisation import Init, Table, subword_mean

REVISION = 1


def mean_subword_plain(table: Table, prepared: Any) -> np.ndarray:
    """Rows [N, D]; reserved tokens get the mean of all rows."""
    return subword_mean(table)


INIT = Init(rows=mean_subword_plain, revision=REVISION, paper="Gee et al. 2022 (arXiv:2402.09977)")
