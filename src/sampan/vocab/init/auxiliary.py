"""Vectors from outside, moved into the model's space by the linear map that fits the old tokens best."""

from __future__ import annotations

import numpy as np

from ...core.errors import StageError
from ..given_vectors import read_vectors
from ..initialisation import Init, NewTokens, Settings, Table, subword_mean
from ..norms import match_norms

REVISION = 1
RIDGE = 1e-2
"""Share of the mean variance that is added to every direction, so that few common tokens fit no noise; ours."""

Vectors = tuple[np.ndarray, np.ndarray]


def common_vectors(new: NewTokens, settings: Settings) -> Vectors:
    """Ids that have a vector and these vectors; StageError where too few old tokens do, or no new one."""
    if new.vectors is None:
        raise StageError("init: auxiliary needs vectors", how="Give the input `vectors`: a .vec, .npz or model folder.")
    have, vectors_KE = read_vectors(new.vectors, new.texts)
    old = int((have < new.first).sum())
    if old < 2 or old == len(have):
        raise StageError(
            f"the vectors name {old} old tokens and {len(have) - old} new ones",
            where=str(new.vectors),
            how="They must name words as the tokenizers' pieces read; at least two old and one new.",
        )
    return have, vectors_KE


def auxiliary(table: Table, prepared: Vectors) -> np.ndarray:
    """Rows [N, D] by ridge regression of old rows on old vectors; tokens without a vector get the mean of their parts.

    The length of a mapped row is matched like a mean's, for a regression shrinks what it cannot explain.
    """
    have, vectors_KE = prepared
    old = have < table.new.first
    centre_E, centre_D = vectors_KE[old].mean(0), table.old_VD[have[old]].mean(0)
    x_ME, y_MD = vectors_KE[old] - centre_E, table.old_VD[have[old]] - centre_D
    gram_EE = (x_ME.T @ x_ME).astype(np.float64)
    gram_EE[np.diag_indices_from(gram_EE)] += RIDGE * np.trace(gram_EE) / len(gram_EE) + 1e-12
    map_ED = np.linalg.solve(gram_EE, x_ME.T @ y_MD)
    rows_ND = subword_mean(table)
    rows_ND[have[~old] - table.new.first] = (vectors_KE[~old] - centre_E) @ map_ED + centre_D
    return match_norms(rows_ND, table)


INIT = Init(
    rows=auxiliary,
    prepare=common_vectors,
    revision=REVISION,
    paper="linear maps between embedding spaces: Mikolov et al. 2013 (arXiv:1309.4168); the ridge is ours",
)
