"""Compiled counting over the characters, lines and units of a text: what `view`, `characters` and `phrases` do in array
work, without an array for each step."""

from __future__ import annotations

import numpy as np

from ...core.compiled import compiled, leaf
from ...lang.kernels.words import span_hash
from .repeats import gram

_LINE_END, _ASCII = 10, 128


@compiled
def lines(points, kinds_C, blank, table):
    """Starts, ends and hashes of the lines without surrounding blanks, empty ones left out. [L], [L], [L]"""
    most = 1
    for i in range(points.size):
        most += points[i] == _LINE_END
    starts, ends, hashes = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.uint64)
    found = begin = 0
    for i in range(points.size + 1):
        if i < points.size and points[i] != _LINE_END:
            continue
        first, end = begin, i
        while first < end and kinds_C[first] & blank:
            first += 1
        while first < end and kinds_C[end - 1] & blank:
            end -= 1
        if first < end:
            starts[found], ends[found], hashes[found] = first, end, span_hash(points, first, end, table)
            found += 1
        begin = i + 1
    return starts[:found].copy(), ends[:found].copy(), hashes[:found].copy()


@compiled
def paragraphs(points, starts_L, ends_L, table):
    """Starts, ends and hashes of the runs of lines with no empty one between them. [P], [P], [P]"""
    starts, ends = np.empty(starts_L.size, np.int64), np.empty(starts_L.size, np.int64)
    found = 0
    for place in range(starts_L.size):
        breaks = 2
        if place > 0:
            breaks = 0
            for i in range(ends_L[place - 1], starts_L[place]):
                breaks += points[i] == _LINE_END
        if breaks > 1:
            starts[found] = starts_L[place]
            found += 1
        ends[found - 1] = ends_L[place]
    hashes = np.empty(found, np.uint64)
    for place in range(found):
        hashes[place] = span_hash(points, starts[place], ends[place], table)
    return starts[:found].copy(), ends[:found].copy(), hashes


@compiled
def count_by_span(kinds_C, kind, starts_S, ends_S):
    """Characters of a kind in each span. [S]"""
    out = np.zeros(starts_S.size, np.int64)
    for place in range(starts_S.size):
        for i in range(starts_S[place], ends_S[place]):
            out[place] += kinds_C[i] & kind > 0
    return out


@leaf
def spans_with(kinds_C, kind, starts_S, ends_S):
    """How many spans have a character of a kind."""
    found = 0
    for place in range(starts_S.size):
        for i in range(starts_S[place], ends_S[place]):
            if kinds_C[i] & kind:
                found += 1
                break
    return found


@leaf
def script_weights(points, script_P, weight_P, number):
    """Weight of the letters of the script of that number, and of all letters."""
    own = every = 0
    last = script_P.size - 1
    for i in range(points.size):
        point = min(np.int64(points[i]), last)
        weight = np.int64(weight_P[point])
        every += weight
        own += weight if script_P[point] == number else 0
    return own, every


@leaf
def find(values, value, low, high):
    """Place of a value in values[low:high], which are sorted; -1 if it is not there."""
    end = high
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < end and values[low] == value else -1


@compiled
def find_phrases(hashes_U, firsts, lengths_N, known_K, begins_N):
    """Different phrases that occur, and units that lie in one. The hashes of the phrases of `lengths_N[n]` units are
    `known_K[begins_N[n]:begins_N[n + 1]]`, sorted; `firsts` are those of their first units."""
    units = hashes_U.size
    inside, seen = np.zeros(units + 1, np.int64), np.zeros(known_K.size, np.bool_)
    different = covered = depth = 0
    for start in range(units):
        if find(firsts, hashes_U[start], 0, firsts.size) >= 0:
            for n in range(lengths_N.size):
                length = lengths_N[n]
                if start + length > units:
                    continue
                place = find(known_K, gram(hashes_U, start, length), begins_N[n], begins_N[n + 1])
                if place >= 0:
                    different += not seen[place]
                    seen[place] = True
                    inside[start] += 1
                    inside[start + length] -= 1
        depth += inside[start]
        covered += depth != 0
    return different, covered


@compiled
def digit_chains(points, kinds, digit, gaps, least):
    """Starts, ends and digits of the longest stretches of digits with at most two of the characters `gaps` (sorted)
    between each two, of `least` digits or more; and whether a digit is none of ASCII. [R], [R], [R]"""
    most = points.size // least + 1
    starts, ends, sizes = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    found, last, other = 0, kinds.size - 1, False
    start, end, size, gap = 0, -1, 0, 0
    for i in range(points.size + 1):
        inside = i < points.size and kinds[min(np.int64(points[i]), last)] & digit > 0
        if inside:
            if size == 0:
                start = i
            end, size, gap = i + 1, size + 1, 0
            other |= points[i] >= _ASCII
        elif size:
            gap += 1
            if i == points.size or gap > 2 or find(gaps, points[i], 0, gaps.size) < 0:
                if size >= least:
                    starts[found], ends[found], sizes[found] = start, end, size
                    found += 1
                size = 0
    return starts[:found].copy(), ends[:found].copy(), sizes[:found].copy(), other
