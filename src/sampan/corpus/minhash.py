"""MinHash signatures of shingle sets, cut into bands: two documents that share a band are compared.

A pair of Jaccard similarity s agrees in one signature value with probability s, in a band of r values with s**r, and
in at least one of b bands with 1 - (1 - s**r)**b: the S-curve.
"""

from __future__ import annotations

import numpy as np

from .shingles import mixed

WANTED_RECALL = 0.95
"""Of pairs exactly at the threshold. More similar pairs are found with more: at 0.6 and 200 values, those at 0.72 (one
unit in twenty edited) with 0.9997."""
_FACTORS = np.random.Generator(np.random.PCG64(0xBA2D5)).integers(1, 1 << 63, 256, dtype=np.uint64) * 2 + 1


def bands(num_perm: int, threshold: float) -> tuple[int, int]:
    """(bands, rows): the longest rows at which a pair at the threshold shares a band with WANTED_RECALL or more."""
    for rows in range(min(num_perm, len(_FACTORS)), 0, -1):
        if found(threshold, num_perm // rows, rows) >= WANTED_RECALL:
            return num_perm // rows, rows
    return num_perm, 1


def found(similarity: float, number: int, rows: int) -> float:
    """The probability that a pair of that similarity shares one of `number` bands of `rows` values."""
    return 1 - (1 - similarity**rows) ** number


def band_keys(shingles: np.ndarray, offsets: np.ndarray, num_perm: int, number: int, rows: int) -> np.ndarray:
    """Band keys [D, number] (uint64) of D sets, set d being shingles[offsets[d]:offsets[d + 1]] (uint32).

    An empty set gets keys too; leave it out, for it resembles nothing.
    """
    from rensa import RMinHash

    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        mixed(shingles.astype(np.uint64)), offsets.tolist(), num_perm, 1
    )
    values_DP = np.asarray(matrix.to_rows(), np.uint32)[:, : number * rows].astype(np.uint64)
    sums_DB = (values_DP.reshape(-1, number, rows) * _FACTORS[:rows]).sum(axis=2, dtype=np.uint64)
    return mixed(sums_DB + mixed(np.arange(1, number + 1, dtype=np.uint64)))
