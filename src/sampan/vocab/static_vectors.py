"""Word vectors of tokens, learnt on a little text: which tokens stand near each other, factored. In numpy alone.

Positive pointwise mutual information of tokens within a window, and its largest eigenvectors by random projection
(Levy and Goldberg 2014; Halko et al. 2011, arXiv:0909.4061): as good as fastText on little text, and the same for any
number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .initialisation import NewTokens

WINDOW, MIN_COUNT, SIZE = 5, 5, 100
SMOOTHING = 0.75
"""Power on the counts of contexts (Levy et al. 2015, section 3.2)."""
_CHUNK, _BLOCK, _PASSES = 1 << 18, 1 << 17, 2


def learn_vectors(new: NewTokens, *, max_tokens: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(ids [K], vectors [K, E]) of the tokens seen MIN_COUNT times among the first `max_tokens` of the documents."""
    counts_V = np.zeros(new.size, np.int64)
    for ids in _documents(new, max_tokens):
        counts_V += np.bincount(ids, minlength=new.size)
    have = np.flatnonzero(counts_V >= MIN_COUNT)
    place = np.full(new.size, -1)
    place[have] = np.arange(len(have))
    matrix = _mutual_information(_pairs(new, place, max_tokens), len(have))
    return have, _eigenvectors(matrix, len(have), min(SIZE, len(have)), seed)


def _documents(new: NewTokens, max_tokens: int) -> Iterator[np.ndarray]:
    left = max_tokens
    for start in range(0, len(new.documents), 64):
        for ids in new.encode(new.documents[start : start + 64]):
            if left <= 0:
                return
            yield np.asarray(ids[:left], np.int64)
            left -= len(ids)


def _pairs(new: NewTokens, place: np.ndarray, max_tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys a · K + b of neighbours, sorted, and how often they are (nearer ones count more, 1 over the distance)."""
    total = int(place.max()) + 1
    keys, sums = np.empty(0, np.int64), np.empty(0)
    waiting: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    held = 0

    def fold() -> None:
        nonlocal keys, sums, waiting, weights, held
        keys, where = np.unique(np.concatenate([keys, *waiting]), return_inverse=True)
        sums = np.bincount(where, np.concatenate([sums, *weights]), len(keys))
        waiting, weights, held = [], [], 0

    for ids in _documents(new, max_tokens):
        row = place[ids]
        for step in range(1, min(WINDOW, len(row) - 1) + 1):
            left, right = row[:-step], row[step:]
            known = (left >= 0) & (right >= 0)
            left, right = left[known], right[known]
            waiting += [left * total + right, right * total + left]
            weights += [np.full(2 * len(left), 1 / step)]
            held += 2 * len(left)
        if held > _CHUNK * WINDOW:
            fold()
    fold()
    return keys, sums


@dataclass(frozen=True)
class _Sparse:
    """Entries sorted by row; `starts` are the places where the rows in `rows` begin."""

    rows: np.ndarray
    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    def times(self, x_KE: np.ndarray) -> np.ndarray:
        out_KE = np.zeros_like(x_KE)
        first = 0
        while first < len(self.rows):  # whole rows, about _BLOCK entries at a time
            last = int(np.searchsorted(self.starts, self.starts[first] + _BLOCK))
            last = max(last, first + 1)
            end = self.starts[last] if last < len(self.rows) else len(self.values)
            part = slice(self.starts[first], end)
            products = self.values[part, None] * x_KE[self.columns[part]]
            out_KE[self.rows[first:last]] = np.add.reduceat(products, self.starts[first:last] - self.starts[first])
            first = last
        return out_KE


def _mutual_information(pairs: tuple[np.ndarray, np.ndarray], total: int) -> _Sparse:
    keys, sums = pairs
    row, column = keys // max(1, total), keys % max(1, total)
    seen_K = np.bincount(row, sums, total)
    context_K = seen_K**SMOOTHING
    shares_K = context_K / max(context_K.sum(), 1e-300)
    values = np.log(sums / (seen_K[row] * shares_K[column]))
    kept = values > 0
    rows, starts = np.unique(row[kept], return_index=True)
    return _Sparse(rows, starts, column[kept], values[kept].astype(np.float32))


def _eigenvectors(matrix: _Sparse, total: int, size: int, seed: int) -> np.ndarray:
    """[K, E]: eigenvectors times the square roots of the eigenvalues' magnitudes."""
    basis_KE = np.random.default_rng(seed).standard_normal((total, min(total, size + 10))).astype(np.float32)
    for _ in range(_PASSES + 1):
        basis_KE = np.linalg.qr(matrix.times(basis_KE))[0]
    small_EE = basis_KE.T @ matrix.times(basis_KE)
    values_E, turn_EE = np.linalg.eigh((small_EE + small_EE.T) / 2)
    best = np.argsort(-np.abs(values_E))[:size]
    return (basis_KE @ turn_EE[:, best]) * np.sqrt(np.abs(values_E[best])).astype(np.float32)
