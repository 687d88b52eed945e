"""FOCUS: a new row is the mean of the old rows of similar tokens, similar in vectors learnt on text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.errors import StageError
from ..given_vectors import read_vectors
from ..initialisation import Init, NewTokens, Settings, Table, subword_mean
from ..norms import match_norms
from ..static_vectors import learn_vectors

REVISION = 1
_BLOCK = 512


@dataclass(frozen=True)
class Similar:
    """For new tokens that have a vector: their numbers, and old ids with weights that sum to 1 for each."""

    numbers: list[int]
    ids: list[np.ndarray]
    weights: list[np.ndarray]


def similar_tokens(new: NewTokens, settings: Settings) -> Similar:
    """Sparsemax over the cosines between each new token and all old tokens that have a vector."""
    if new.vectors is not None:
        have, vectors_KE = read_vectors(new.vectors, new.texts)
    else:
        have, vectors_KE = learn_vectors(new, max_tokens=settings.max_tokens, seed=settings.seed)
    unit_KE = vectors_KE / np.maximum(np.linalg.norm(vectors_KE, axis=1, keepdims=True), 1e-12)
    old, fresh = np.flatnonzero(have < new.first), np.flatnonzero(have >= new.first)
    if not len(old) or not len(fresh):
        raise StageError(
            f"focus found vectors of {len(old)} old and {len(fresh)} new tokens and needs both",
            how="Give more text, in the old languages too, or other vectors.",
        )
    found = Similar([int(n) - new.first for n in have[fresh]], [], [])
    for start in range(0, len(fresh), _BLOCK):
        weights_BO = sparsemax(unit_KE[fresh[start : start + _BLOCK]] @ unit_KE[old].T)
        for row_O in weights_BO:
            kept = np.flatnonzero(row_O)
            found.ids.append(have[old[kept]])
            found.weights.append(row_O[kept])
    return found


def sparsemax(scores_BO: np.ndarray) -> np.ndarray:
    """The nearest points of the simplex, row by row (Martins and Astudillo 2016, arXiv:1602.02068, algorithm 1)."""
    sorted_BO = -np.sort(-scores_BO, axis=1)
    sums_BO = sorted_BO.cumsum(1) - 1
    ranks_O = np.arange(1, scores_BO.shape[1] + 1)
    support_B = (sorted_BO * ranks_O > sums_BO).sum(1)
    limit_B = np.take_along_axis(sums_BO, support_B[:, None] - 1, 1)[:, 0] / support_B
    return np.maximum(scores_BO - limit_B[:, None], 0).astype(np.float32)


def focus(table: Table, prepared: Similar) -> np.ndarray:
    """Rows [N, D] (Dobler and de Melo 2023, eq. 3); tokens without a vector get the mean of their parts."""
    rows_ND = match_norms(subword_mean(table), table)
    for number, ids, weights in zip(prepared.numbers, prepared.ids, prepared.weights, strict=True):
        rows_ND[number] = weights @ table.old_VD[ids]
    return rows_ND


INIT = Init(
    rows=focus,
    prepare=similar_tokens,
    revision=REVISION,
    paper="Dobler and de Melo 2023 (arXiv:2305.14481); vectors from counts instead of fastText are ours",
)
