"""Compiled counting of repeated n-grams (the filter `repetition`), and of what strings begin with (`literals`)."""

from __future__ import annotations

import numpy as np

from ...core.compiled import compiled, leaf
from ...lang import units
from ...lang.kernels.words import mixed
from .. import literals

_STEP = np.uint64(units.GRAM_STEP)
_F0, _F1, _F2, _F3 = (np.uint64(factor) for factor in literals.FACTORS)
_DOWN, _LOW = np.uint64(32 - literals.BITS), np.uint64(0xFFFFFFFF)


@leaf
def gram(hashes_U, place, length):
    """`units.ngram_hashes` of one run of units."""
    value, power = np.uint64(0), np.uint64(1)
    for k in range(length):
        value += hashes_U[place + k] * power
        power *= _STEP
    return mixed(value)


@compiled
def slots(grams_P):
    """For each n-gram the number of the first equal one, and how often each first one occurs."""
    bits = 2
    while (1 << bits) < 2 * grams_P.size:
        bits += 1
    table, mask = np.full(1 << bits, -1, np.int64), (1 << bits) - 1
    first_P, times_P = np.empty(grams_P.size, np.int64), np.zeros(grams_P.size, np.int64)
    for p in range(grams_P.size):
        slot = np.int64(grams_P[p] >> np.uint64(64 - bits))
        while table[slot] >= 0 and grams_P[table[slot]] != grams_P[p]:
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot] = p
        first_P[p] = table[slot]
        times_P[table[slot]] += 1
    return first_P, times_P


@compiled
def repeats(hashes_U, places_P, length, sums_U, max_ties):
    """Of the runs of `length` units at `places_P` the places of those that occur more than once; the characters that
    the most frequent one covers (of equally frequent ones up to `max_ties`, those with the smallest hashes, the
    largest such number), if it occurs more than twice; and those that repeats of an earlier one cover. `sums_U` are
    the characters of the first 0, 1, … units."""
    grams_P = np.empty(places_P.size, np.uint64)
    for p in range(places_P.size):
        grams_P[p] = gram(hashes_U, places_P[p], length)
    first_P, times_P = slots(grams_P)
    kept, again, size = np.empty(places_P.size, np.int64), 0, 0
    reached = np.int64(0)
    most = 0
    for p in range(places_P.size):
        most = max(most, times_P[p])
        if times_P[first_P[p]] < 2:
            continue
        kept[size] = places_P[p]
        size += 1
        if first_P[p] != p:
            end = places_P[p] + length
            again += sums_U[end] - sums_U[max(places_P[p], reached)]
            reached = end
    return kept[:size].copy(), _top(grams_P, first_P, times_P, places_P, most, length, sums_U, max_ties), again


@leaf
def _top(grams_P, first_P, times_P, places_P, most, length, sums_U, max_ties):
    best = 0
    if most <= 2:
        return best
    chosen, last = 0, -1
    while chosen < max_ties:
        following = -1
        for p in range(grams_P.size):
            if times_P[p] != most or (last >= 0 and grams_P[p] <= grams_P[last]):
                continue
            if following < 0 or grams_P[p] < grams_P[following]:
                following = p
        if following < 0:
            break
        covered, reached = 0, np.int64(0)
        for p in range(grams_P.size):
            if first_P[p] == following:
                end = places_P[p] + length
                covered += sums_U[end] - sums_U[max(places_P[p], reached)]
                reached = end
        best = max(best, covered)
        chosen, last = chosen + 1, following
    return best


@compiled
def all_repeats(hashes_U, unit, first, last, sums_U, max_ties):
    """What `repeats` gives for runs of n * `unit` units, n from `first` to `last`: for each n the characters of the
    most frequent, and those of repeats [last + 1]. Only where a shorter run is repeated can a longer one be."""
    tops, agains = np.zeros(last + 1, np.int64), np.zeros(last + 1, np.int64)
    places_P = np.arange(hashes_U.size)
    for n in range(first, last + 1):
        kept = 0
        while kept < places_P.size and places_P[kept] + n * unit <= hashes_U.size:
            kept += 1
        if kept == 0:
            break
        places_P, tops[n], agains[n] = repeats(hashes_U, places_P[:kept].copy(), n * unit, sums_U, max_ties)
    return tops, agains


@compiled
def seen_before(values_N):
    """Which values are equal to an earlier one. [N]"""
    first_N, _ = slots(values_N)
    return first_N != np.arange(values_N.size)


@compiled
def likely_places(points, begins):
    """Places whose four characters have a hash of which `begins` is true."""
    out, size = np.empty(max(0, points.size - 3), np.int64), 0
    for i in range(points.size - 3):
        value = (np.uint64(points[i]) * _F0) ^ (np.uint64(points[i + 1]) * _F1)
        value ^= (np.uint64(points[i + 2]) * _F2) ^ (np.uint64(points[i + 3]) * _F3)
        if begins[np.int64((value & _LOW) >> _DOWN)]:
            out[size] = i
            size += 1
    return out[:size].copy()
