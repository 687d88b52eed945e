"""Compiled `features.features`: the same rows in the same order, so that they are equal to the last bit.

Logarithms are left to numpy, whose own differ from the compiler's: rows that need one are given bare and listed in
`LOGS` (float32) and `LONG_LOGS` (float64). Sums of fractions in float32 are left to it too (`weigh`).

Shapes: B blocks, E elements, F features; `above_4B` are the innermost element around a block and three further out.
"""

from __future__ import annotations

import numpy as np

from ...core.compiled import compiled, leaf
from .. import features
from ..blocks import HINT_NAMES, TAG_NUMBERS

_CLASSES = len(features.CLASSES)
_HINTS = len(HINT_NAMES)
ENDERS, _COLONS = 1 + features.CLASSES.index("enders"), 1 + features.CLASSES.index("colons")
_OWN_TAGS = np.array([TAG_NUMBERS[name] for name in features.OWN_TAGS])
_H1, _H4 = TAG_NUMBERS["h1"], TAG_NUMBERS["h4"]
_CLOSING = np.array(sorted(map(ord, features.CLOSING)))
_PARA_MASS, _MOST, _FLAT = np.float32(features.PARA_MASS), np.float32(features.MOST), np.float32(0.4)
_OFFSETS = np.array(features.OFFSETS)
_MAX_CHAIN = features.MAX_CHAIN
_ONE, _TWELVE, _FIVE = np.float32(1), np.float32(12), np.float32(5)

TEXT = 0
PLACE = TEXT + 4 + 6 + (_CLASSES - 2) + 4
NEAR = PLACE + 8 + len(_OWN_TAGS)
AROUND = NEAR + 3 * len(_OFFSETS)
PATHS = AROUND + 15
HEAVY = PATHS + 4
HINTS = HEAVY + 5
FEATURES = HINTS + 2 * _HINTS
"""First rows of the groups of features, and their number."""
LOGS = np.array([TEXT, TEXT + 3, AROUND, AROUND + 1, AROUND + 2])
LONG_LOGS = np.array([TEXT + 2, PLACE, PLACE + 1, PLACE + 5, PLACE + 6, AROUND + 12, AROUND + 13, AROUND + 14, PATHS,
                      PATHS + 2, PATHS + 3])  # fmt: skip
"""Rows that are logarithms of what the compiled loops give."""


@compiled
def count_points(points, ends_B, kind_of, kinds_KM):
    """`features.count_characters` of texts given as their characters in a row. [1 + K, B]"""
    counts_MB = np.zeros((kinds_KM.shape[1], ends_B.size), np.float32)
    seen = np.zeros(kinds_KM.shape[0], np.int64)
    last, start = kind_of.size - 1, 0
    for b in range(ends_B.size):
        seen[:] = 0
        for i in range(start, ends_B[b]):
            seen[kind_of[min(np.int64(points[i]), last)]] += 1
        start = ends_B[b]
        for kind in range(seen.size):
            if seen[kind]:
                for m in range(kinds_KM.shape[1]):
                    counts_MB[m, b] += np.float32(seen[kind] * kinds_KM[kind, m])
    return counts_MB


@leaf
def _add_text(out_FB, long_LB, counts_MB, linked_B, links_B):
    mass_B = counts_MB[0]
    for b in range(mass_B.size):
        size = max(_ONE, mass_B[b])
        out_FB[0, b], out_FB[1, b] = mass_B[b], linked_B[b]
        long_LB[0, b] = links_B[b]
        out_FB[3, b] = mass_B[b] * (_ONE - linked_B[b])
        for k in range(6):
            out_FB[4 + k, b] = counts_MB[1 + k, b] / size
        for k in range(2, _CLASSES):
            out_FB[8 + k, b] = min(counts_MB[1 + k, b], _TWELVE)


@leaf
def _closes(point):
    for k in range(_CLOSING.size):  # noqa: SIM110 - numba compiles no generators
        if point == _CLOSING[k]:
            return True
    return False


@leaf
def add_ends(out_FB, points, ends_B, kind_of, kinds_KM):
    """Whether texts end a sentence, or lead to what follows; a text of one closing mark does both."""
    row, start = 8 + _CLASSES, 0
    for b in range(ends_B.size):
        end = ends_B[b] - 1
        if _closes(points[end]):
            end -= 1
        if end < start:
            out_FB[row, b] = out_FB[row + 1, b] = 1
        else:
            kind = kind_of[min(np.int64(points[end]), kind_of.size - 1)]
            out_FB[row, b], out_FB[row + 1, b] = kinds_KM[kind, ENDERS], kinds_KM[kind, _COLONS]
        start = ends_B[b]


@leaf
def _add_place(out_FB, long_LB, mass_B, para_B, own_B, depth_B, total, all_para):
    blocks = mass_B.size
    before = para_before = np.float32(0)
    h1 = head = -1000
    for b in range(blocks):
        if own_B[b] == _H1:
            h1 = b
        if _H1 <= own_B[b] <= _H4:
            head = b
        long_LB[1, b], long_LB[2, b] = b, blocks - b
        out_FB[PLACE + 2, b] = before / total
        out_FB[PLACE + 3, b] = para_before / all_para
        out_FB[PLACE + 4, b] = (all_para - para_before - para_B[b]) / all_para
        long_LB[3, b], long_LB[4, b] = min(200, b - h1), min(200, b - head)
        out_FB[PLACE + 7, b] = depth_B[b]
        for k in range(_OWN_TAGS.size):
            out_FB[PLACE + 8 + k, b] = own_B[b] == _OWN_TAGS[k]
        before += mass_B[b]
        para_before += para_B[b]


@compiled
def sums_over(row_B, first_E, end_E):
    """Sums over the blocks of each element. [E]"""
    running = np.zeros(row_B.size + 1)
    for b in range(row_B.size):
        running[b + 1] = running[b] + np.float64(row_B[b])
    out = np.empty(first_E.size, np.float32)
    for e in range(first_E.size):
        out[e] = running[end_E[e]] - running[first_E[e]]
    return out


@leaf
def _add_around(out_FB, long_LB, mass_E, link_E, para_E, blocks_E, above_4B, all_para):
    for level in range(3):
        for b in range(above_4B.shape[1]):
            e = above_4B[level + 1, b]
            size = max(_ONE, mass_E[e])
            out_FB[AROUND + level, b] = mass_E[e]
            out_FB[AROUND + 3 + level, b] = link_E[e] / size
            out_FB[AROUND + 6 + level, b] = para_E[e] / size
            out_FB[AROUND + 9 + level, b] = para_E[e] / all_para
            long_LB[5 + level, b] = np.float64(mass_E[e]) / blocks_E[e]


@compiled
def _groups(tag_E, depth_B, above_4B):
    """A number per block that is the same where the elements around have the same tags and depth; and how many there
    are."""
    blocks = depth_B.size
    bits = 2
    while (1 << bits) < 2 * blocks:
        bits += 1
    keys, numbers = np.full(1 << bits, -(1 << 62), np.int64), np.empty(1 << bits, np.int64)
    out = np.empty(blocks, np.int64)
    found = 0
    for b in range(blocks):
        key = depth_B[b]
        for level in range(4):
            key = key * 64 + tag_E[above_4B[level, b]]
        place = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits))
        while keys[place] != key and keys[place] != -(1 << 62):
            place = (place + 1) & ((1 << bits) - 1)
        if keys[place] != key:
            keys[place], numbers[place] = key, found
            found += 1
        out[b] = numbers[place]
    return out, found


@compiled
def _add_paths(out_FB, long_LB, mass_B, linked_B, group_B, groups):
    sums = np.zeros((3, groups))
    for b in range(mass_B.size):
        sums[0, group_B[b]] += np.float64(mass_B[b])
        sums[1, group_B[b]] += np.float64(mass_B[b] * linked_B[b])
        sums[2, group_B[b]] += 1
    for b in range(mass_B.size):
        mass, links, count = sums[0, group_B[b]], sums[1, group_B[b]], sums[2, group_B[b]]
        out_FB[PATHS + 1, b] = links / max(1.0, mass)
        long_LB[8, b], long_LB[9, b], long_LB[10, b] = mass, count, mass / count


@compiled
def _heaviest(weight_B, above_4B, parent_E):
    """The element whose blocks weigh most, as `Page.heaviest` has it."""
    sums = np.zeros((3, parent_E.size))
    for level in range(3):
        for b in range(weight_B.size):
            sums[level, above_4B[level + 1, b]] += np.float64(weight_B[b])
    best, most = 0, -1.0
    for e in range(parent_E.size):
        score = (sums[0, e] + 0.6 * sums[1, e]) + 0.3 * sums[2, e]
        if e == 0 and parent_E.size > 1:
            score = 0.0
        if score > most:
            best, most = e, score
    return best


@leaf
def _add_heaviest(out_FB, best, depth_B, depth_E, parent_E, first_E, end_E):
    out_FB[HEAVY] = 0
    element, size = best, 0
    while True:
        size += 1
        for b in range(first_E[element], end_E[element]):
            out_FB[HEAVY, b] += 1
        if element == 0 or size >= _MAX_CHAIN:
            break
        element = parent_E[element]
    for b in range(depth_B.size):
        out_FB[HEAVY, b] = size - out_FB[HEAVY, b]
        out_FB[HEAVY + 1, b] = depth_B[b] - depth_E[best]
        out_FB[HEAVY + 4, b] = -1 if b < first_E[best] else 1 if b >= end_E[best] else 0


@compiled
def _add_hints(out_FB, hints_E, mass_E, above_4B, parent_E, total):
    around_E = np.empty(hints_E.size, np.int64)
    for e in range(hints_E.size):
        around_E[e] = hints_E[e] if mass_E[e] / total < _MOST else 0
        around_E[e] |= around_E[parent_E[e]]
    for b in range(above_4B.shape[1]):
        around = around_E[above_4B[0, b]]
        near = hints_E[above_4B[0, b]] | hints_E[above_4B[1, b]] | hints_E[above_4B[2, b]]
        for k in range(_HINTS):
            out_FB[HINTS + k, b] = (around >> k) & 1
            out_FB[HINTS + _HINTS + k, b] = (near >> k) & 1


@compiled
def describe(counts_MB, linked_B, links_B, place_B, tag_E, depth_E, parent_E, first_E, end_E, hints_E):
    """Rows [F, B] but for those of texts as wholes, of neighbours and of the heaviest element's weight; bare numbers of
    `LONG_LOGS` [L, B]; weights [B]; and the first and end block of the heaviest element."""
    blocks = place_B.size
    out_FB, long_LB = np.empty((FEATURES, blocks), np.float32), np.empty((LONG_LOGS.size, blocks))
    mass_B = counts_MB[0]
    above_4B = np.empty((4, blocks), np.int64)
    own_B, depth_B = tag_E[place_B], depth_E[place_B]
    para_B, weight_B = np.empty(blocks, np.float32), np.empty(blocks, np.float32)
    links_mass_B = np.empty(blocks, np.float32)
    total = all_para = 0.0
    for b in range(blocks):
        above_4B[0, b] = place_B[b]
        for level in range(3):
            above_4B[level + 1, b] = parent_E[above_4B[level, b]]
        para_B[b] = mass_B[b] if mass_B[b] >= _PARA_MASS and linked_B[b] < _FLAT else 0
        weight_B[b] = para_B[b] * (_ONE - linked_B[b])
        links_mass_B[b] = mass_B[b] * linked_B[b]
        total += mass_B[b]
        all_para += para_B[b]
    whole, all_para = np.float32(max(1.0, total)), np.float32(max(1.0, all_para))
    mass_E, link_E = sums_over(mass_B, first_E, end_E), sums_over(links_mass_B, first_E, end_E)
    para_E = sums_over(para_B, first_E, end_E)
    _add_text(out_FB, long_LB, counts_MB, linked_B, links_B)
    _add_place(out_FB, long_LB, mass_B, para_B, own_B, depth_B, whole, all_para)
    _add_around(out_FB, long_LB, mass_E, link_E, para_E, end_E - first_E, above_4B, all_para)
    group_B, groups = _groups(tag_E, depth_B, above_4B)
    _add_paths(out_FB, long_LB, mass_B, linked_B, group_B, groups)
    best = _heaviest(weight_B, above_4B, parent_E)
    _add_heaviest(out_FB, best, depth_B, depth_E, parent_E, first_E, end_E)
    _add_hints(out_FB, hints_E, mass_E, above_4B, parent_E, whole)
    return out_FB, long_LB, weight_B, first_E[best], end_E[best]


@leaf
def add_near(out_FB, enders_B):
    """Rows of the blocks before and after, when all other rows are there."""
    blocks = enders_B.size
    for k in range(_OFFSETS.size):
        for b in range(blocks):
            other = b + _OFFSETS[k]
            inside = 0 <= other < blocks
            out_FB[NEAR + k, b] = out_FB[0, other] if inside else 0
            out_FB[NEAR + _OFFSETS.size + k, b] = out_FB[1, other] if inside else 0
            out_FB[NEAR + 2 * _OFFSETS.size + k, b] = min(_FIVE, enders_B[other]) if inside else 0
