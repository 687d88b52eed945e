"""Compiled `units.Points.units`, words and clusters, and hashes of spans."""

from __future__ import annotations

import numpy as np

from ...core.compiled import compiled, leaf
from .. import units

_STEP = np.uint64(units.STEP)
_MIX_1, _MIX_2 = np.uint64(units.MIX_1), np.uint64(units.MIX_2)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)
_IN_WORD, _JOINS, _LETTER = units.IN_WORD, units.JOINS, units.LETTER
_COENG, _KHMER, _VIRAMA, _BURMESE = units.COENG, units.KHMER, units.VIRAMA, units.BURMESE
_ASAT, _DOT_BELOW, _STACK = units.ASAT, units.DOT_BELOW, units.BURMESE_VIRAMA
_SYLLABLE = units.burmese()


@leaf
def mixed(value):
    value ^= value >> _S30
    value *= _MIX_1
    value ^= value >> _S27
    value *= _MIX_2
    return value ^ (value >> _S31)


@leaf
def span_hash(points, start, end, table):
    """The hash of the characters start..end; `table` holds those of the first characters of Unicode."""
    value, power = np.uint64(0), np.uint64(1)
    for i in range(start, end):
        point = np.int64(points[i])
        hashed = table[point] if point < table.size else mixed(np.uint64(point + 1))
        value += hashed * power
        power *= _STEP
    return mixed(value)


@compiled
def span_hashes(points, starts_S, ends_S, table):
    out = np.empty(starts_S.size, np.uint64)
    for s in range(starts_S.size):
        out[s] = span_hash(points, starts_S[s], ends_S[s], table)
    return out


@compiled
def words(points, kinds, table):
    """Starts, ends and hashes of the words. [U], [U], [U]"""
    size, last = points.size, kinds.size - 1
    starts, ends = np.empty(size // 2 + 1, np.int64), np.empty(size // 2 + 1, np.int64)
    hashes = np.empty(size // 2 + 1, np.uint64)
    found, start = 0, -1
    before, kind = 0, np.int64(kinds[min(np.int64(points[0]), last)]) if size else 0
    for i in range(size):
        after = np.int64(kinds[min(np.int64(points[i + 1]), last)]) if i + 1 < size else 0
        inside = kind & _IN_WORD or (kind & _JOINS and before & _IN_WORD and after & _LETTER)
        if inside and start < 0:
            start = i
        if start >= 0 and not inside:
            starts[found], ends[found], hashes[found] = start, i, span_hash(points, start, i, table)
            found, start = found + 1, -1
        before, kind = kind, after
    if start >= 0:
        starts[found], ends[found], hashes[found] = start, size, span_hash(points, start, size, table)
        found += 1
    return starts[:found].copy(), ends[:found].copy(), hashes[:found].copy()


@leaf
def _joins_before(points, i, kind, before, stray, pairs):
    """Whether the character at `i` goes on with the unit of the one before it: `units._clusters`. `stray` is whether
    that one is a stacking sign with nothing before it."""
    joined = pairs[before * 16 + kind]
    if stray and ((before == _COENG and kind == _KHMER) or (before == _VIRAMA and kind == _BURMESE)):
        joined = False
    if kind == _BURMESE and i + 1 < points.size and _SYLLABLE[before]:
        after = points[i + 1]
        joined |= after in (_ASAT, _STACK)
        joined |= after == _DOT_BELOW and i + 2 < points.size and points[i + 2] == _ASAT
    return joined


@compiled
def clusters(points, classes, pairs, can_start, table):
    """Starts, ends and hashes of the clusters. [U], [U], [U]"""
    size, last = points.size, classes.size - 1
    starts, ends, hashes = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.uint64)
    found, start, before, stray = 0, -1, 0, False
    for i in range(size + 1):
        kind, joined = 0, False
        if i < size:
            kind = np.int64(classes[min(np.int64(points[i]), last)])
            joined = _joins_before(points, i, kind, before, stray, pairs)
            # a sign strays by what stands right before it, whatever else is known of the letters around
            stray = kind in (_COENG, _VIRAMA) and not pairs[before * 16 + kind]
        if not joined:
            if start >= 0:
                starts[found], ends[found], hashes[found] = start, i, span_hash(points, start, i, table)
                found += 1
            start = i if i < size and can_start[kind] else -1
        before = kind
    return starts[:found].copy(), ends[:found].copy(), hashes[:found].copy()


@compiled
def tally(points, table, size):
    """How many characters have each number below `size` in a table whose last entry stands for all above. [size]"""
    out, last = np.zeros(size, np.int64), table.size - 1
    for i in range(points.size):
        out[table[min(np.int64(points[i]), last)]] += 1
    return out
