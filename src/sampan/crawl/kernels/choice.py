"""Compiled choice of a page's blocks (`extractor.chosen`), what a second opinion says of them (`features.opinions`),
and which of them repeat or are its title (`features.Page.repeated`)."""

from __future__ import annotations

import numpy as np

from ...core.compiled import compiled, leaf
from ..features import OFFSETS, OPINIONS
from .page_features import sums_over

_OFFSETS, _OPINIONS = np.array(OFFSETS), len(OPINIONS)
_TWO, _ONE = np.float32(2), np.float32(1)
_STEP = np.uint64(0x9E3779B97F4A7C15)


@compiled
def expected_f1(mass_B, chances_B):
    """`extractor.expected_f1`, in float32 like there."""
    order_B = np.argsort(-chances_B, kind="mergesort")  # a stable one
    hits_B = np.empty(order_B.size, np.float32)
    mass = hits = np.float32(0)
    for place in range(order_B.size):
        hits += (mass_B[order_B[place]] + _ONE) * chances_B[order_B[place]]
        hits_B[place] = hits
    best = np.float32(0)
    for place in range(order_B.size):
        mass += mass_B[order_B[place]] + _ONE
        best = max(best, _TWO * hits_B[place] / (mass + hits))
    return best


@compiled
def with_opinions(values_FB, mass_B, kept_B, place_B, parent_E, first_E, end_E):
    """`values_FB`, and the rows of `features.opinions` below. [F + 8, B]"""
    rows, blocks = values_FB.shape
    out_FB, weight_B, taken_B = np.empty((rows + _OPINIONS, blocks), np.float32), mass_B + _ONE, np.empty_like(mass_B)
    for b in range(blocks):
        taken_B[b] = weight_B[b] * kept_B[b]
    whole_E, share_E = sums_over(weight_B, first_E, end_E), sums_over(taken_B, first_E, end_E)
    for e in range(first_E.size):
        share_E[e] /= max(_ONE, whole_E[e])
    out_FB[:rows] = values_FB
    for b in range(blocks):
        up = parent_E[place_B[b]]
        out_FB[rows, b], out_FB[rows + 1, b], out_FB[rows + 2, b] = kept_B[b], share_E[up], share_E[parent_E[up]]
        for k in range(_OFFSETS.size):
            other = b + _OFFSETS[k]
            out_FB[rows + 3 + k, b] = kept_B[other] if 0 <= other < blocks else 0
        out_FB[rows + 3 + _OFFSETS.size, b] = share_E[0]
    return out_FB


@compiled
def chosen(mass_B, chances_B, first_E, end_E, parent_E, limits, main_share):
    """`extractor.chosen`; `limits` (float32) are the share of F1, the least and most bar, and that outside. [B]"""
    best, outside = expected_f1(mass_B, chances_B), limits[3]
    bound = min(max(limits[0] * best, limits[1]), limits[2])
    likely_B, running, total = np.empty(mass_B.size, np.bool_), np.zeros(mass_B.size + 1), np.float32(0)
    for b in range(mass_B.size):
        likely_B[b] = chances_B[b] > bound
        if likely_B[b]:
            total += mass_B[b] * chances_B[b]
        running[b + 1] = total
    most = main_share * running[-1]
    near, fewest = 0, -1
    for e in range(first_E.size):
        blocks = end_E[e] - first_E[e]
        if running[end_E[e]] - running[first_E[e]] >= most and (fewest < 0 or blocks < fewest):
            near, fewest = parent_E[e], blocks
    for b in range(mass_B.size):
        if not first_E[near] <= b < end_E[near]:
            likely_B[b] = chances_B[b] > outside
    return likely_B


@compiled
def common(mass_B, low_B, high_B, first_E, end_E, parent_E, limits, main_share):
    """`extractor.common`: what the choices by two rows of chances weigh together, and what they have in common."""
    lower_B = chosen(mass_B, low_B, first_E, end_E, parent_E, limits, main_share)
    higher_B = chosen(mass_B, high_B, first_E, end_E, parent_E, limits, main_share)
    total = both = 0.0
    for b in range(mass_B.size):
        weight = np.float64(mass_B[b]) + 1.0
        if lower_B[b]:
            total += weight
            both += weight if higher_B[b] else 0.0
        total += weight if higher_B[b] else 0.0
    return total, both


@compiled
def repeated(points, ends_B, title, fold):
    """`features.Page.repeated`: how many blocks have a block's text [B], and the characters of it that are in the
    title [B]. `fold` holds what characters become without case, 0 for those that become several; the last argument
    given back is whether there is one of these, so that the rest says nothing."""
    blocks, last = ends_B.size, fold.size - 1
    times_B, titled_B = np.zeros(blocks, np.int64), np.zeros(blocks, np.int64)
    folded, bits = np.empty(points.size, np.uint32), 2
    for i in range(points.size):
        point = np.int64(points[i])
        folded[i] = fold[point] if point <= last else points[i]
        if folded[i] == 0 and point != 0:
            return times_B, titled_B, True
    while (1 << bits) < 2 * blocks:
        bits += 1
    table, first_B = np.full(1 << bits, -1, np.int64), np.empty(blocks, np.int64)
    start = 0
    for b in range(blocks):
        size = ends_B[b] - start
        slot = _hashed(folded, start, ends_B[b]) >> np.uint64(64 - bits)
        while True:
            known = table[np.int64(slot)]
            if known < 0 or _equal(folded, start, size, ends_B, known):
                break
            slot = (slot + np.uint64(1)) & np.uint64((1 << bits) - 1)
        if known < 0:
            table[np.int64(slot)] = known = b
        first_B[b] = known
        times_B[known] += 1
        if 8 < size <= title.size and _within(folded, start, size, title):
            titled_B[b] = size
        start = ends_B[b]
    return times_B[first_B], titled_B, False


@leaf
def _hashed(folded, start, end):
    value = other = np.uint64(end - start)
    for i in range(start, end - 1, 2):  # two at once, as each step waits for the one before
        value = (value ^ np.uint64(folded[i])) * _STEP
        other = (other ^ np.uint64(folded[i + 1])) * _STEP
        value ^= value >> np.uint64(29)
        other ^= other >> np.uint64(31)
    if (end - start) & 1:
        value = (value ^ np.uint64(folded[end - 1])) * _STEP
    return ((value ^ (value >> np.uint64(29))) * _STEP ^ other) * _STEP


@leaf
def _equal(folded, start, size, ends_B, other):
    """Whether the text of `size` characters from `start` on is that of the block `other`."""
    begin = ends_B[other - 1] if other > 0 else 0
    if ends_B[other] - begin != size:
        return False
    for k in range(size):  # noqa: SIM110 - numba compiles no generators
        if folded[start + k] != folded[begin + k]:
            return False
    return True


@leaf
def _within(folded, start, size, title):
    """Whether the text of `size` characters from `start` on is in the title."""
    for place in range(title.size - size + 1):
        k = 0
        while k < size and folded[start + k] == title[place + k]:
            k += 1
        if k == size:
            return True
    return False
