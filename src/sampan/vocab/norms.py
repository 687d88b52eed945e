"""Lengths of embedding rows: a mean of rows is shorter than rows are, and is brought back to their usual length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ..lang.scripts import script_counts
from .initialisation import Table

ENOUGH = 64
"""Old tokens in a script from which its own median length is taken; ours."""


@lru_cache(maxsize=1 << 18)
def token_script(text: str) -> str:
    """The script that most letters of a token are in, '' without letters."""
    counts = script_counts(text)
    return min(counts, key=lambda script: (-counts[script], script)) if counts else ""


def match_norms(rows_ND: np.ndarray, table: Table) -> np.ndarray:
    """Rows scaled to the median length of old rows in the token's script, of all old rows where those are few.

    Only rows of tokens that have parts are scaled: a row of length 0 and the rows of reserved tokens stay.
    """
    new = table.new
    lengths_V = np.sqrt(np.einsum("vd,vd->v", table.old_VD, table.old_VD))  # norm() would copy the matrix
    medians = script_medians(lengths_V, new.texts[: new.first])
    usual = float(np.median(lengths_V))
    scaled_ND = rows_ND.copy()
    for number, ids in enumerate(new.parts):
        length = float(np.linalg.norm(rows_ND[number]))
        if ids and length > 0:
            scaled_ND[number] *= medians.get(token_script(new.texts[new.first + number]), usual) / length
    return scaled_ND


def script_medians(lengths_V: np.ndarray, texts: Sequence[str]) -> dict[str, float]:
    """The median length of old rows by script, for scripts with ENOUGH tokens."""
    members: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        if script := token_script(text):
            members.setdefault(script, []).append(number)
    return {script: float(np.median(lengths_V[ids])) for script, ids in members.items() if len(ids) >= ENOUGH}
