"""Compiled statistics of the filters `menu`, `spam` and `gopher`: one pass each over lines or units."""

from __future__ import annotations

import numpy as np

from ...core.compiled import compiled, leaf
from .counts import find
from .repeats import slots


@leaf
def menu_characters(kinds_C, pause, starts_L, ends_L, starts_U, most, least):
    """Characters of lines that stand in runs of at least `least` lines of at most `most` units, without a character of
    the kind `pause`; and of all lines."""
    inside = total = run = size = 0
    unit = 0
    for line in range(starts_L.size):
        start, end = starts_L[line], ends_L[line]
        while unit < starts_U.size and starts_U[unit] < start:
            unit += 1
        first = unit
        while unit < starts_U.size and starts_U[unit] < end:
            unit += 1
        entry = unit - first <= most
        for i in range(start, end):
            if not entry:
                break
            entry = kinds_C[i] & pause == 0
        total += end - start
        if entry:
            run += 1
            size += end - start
        if not entry or line == starts_L.size - 1:
            inside += size if run >= least else 0
            run = size = 0
    return inside, total


@compiled
def most_frequent(hashes_U, starts_U, ends_U, kinds_C, letter, others_K):
    """How often the most frequent unit occurs that has a character of the kind `letter` and is not in `others_K`
    (sorted); 0 if there is none."""
    first_U, times_U = slots(hashes_U)
    best = 0
    for u in range(hashes_U.size):
        if first_U[u] != u or times_U[u] <= best or find(others_K, hashes_U[u], 0, others_K.size) >= 0:
            continue
        for i in range(starts_U[u], min(ends_U[u], kinds_C.size)):
            if kinds_C[i] & letter:
                best = times_U[u]
                break
    return best


@compiled
def different_among(hashes_U, known_K, weights_K):
    """The weights of those of `known_K` (sorted) that occur, added up."""
    seen_K, total = np.zeros(known_K.size, np.bool_), 0
    for u in range(hashes_U.size):
        place = find(known_K, hashes_U[u], 0, known_K.size)
        if place >= 0 and not seen_K[place]:
            seen_K[place] = True
            total += weights_K[place]
    return total
