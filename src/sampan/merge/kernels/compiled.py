"""The loops themselves, compiled by numba: the numpy chain's operations, in its order, while a few elements are hot.

Every float32 operation of the numpy path is done here once and in the same order (without fused multiply-add and
without reassociation), so results are equal bit for bit. Multiplying by 0 or 1 instead of branching keeps the sign of
a dropped zero what numpy makes it, and lets the compiler use vectors.

Shapes: M models, N elements of a block, R rows of C columns.
"""

from __future__ import annotations

import numpy as np
from numba import njit

KEEP, DARE, TRIM = 0, 1, 2
SUM, ELECT = 0, 1
_TILE = 2048
"""Elements worked on at once; for two models everything then lies in a first-level cache. A multiple of 4."""
_ONE, _ZERO, _NOTHING = np.float32(1), np.float32(0), np.float32(1e-8)
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)
_SHORT_RUN = 24
"""Runs up to which insertion is the fastest sort."""
_MANY = 64
"""Elements of a row with more bits than keys hold, above which the whole row is sorted again."""

compiled = njit(nogil=True, cache=True, fastmath=False, error_model="numpy")

summed = njit(nogil=True, cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")
"""For the report's sums alone, whose last bits may depend on the machine; no weight comes from them."""


@summed
def inner(one_N, other_N):
    total = np.float32(0)
    for i in range(one_N.size):
        total += one_N[i] * other_N[i]
    return total


@compiled
def add_products(deltas_MN, size, base_N, mixed_N, gram_MM, squares_2):
    """Add to the task vectors' Gram matrix and to the squares of (merge, base), for the first `size` elements."""
    for a in range(deltas_MN.shape[0]):
        for b in range(a + 1):
            gram_MM[a, b] += inner(deltas_MN[a, :size], deltas_MN[b, :size])
    squares_2[0] += inner(mixed_N, mixed_N)
    squares_2[1] += inner(base_N, base_N)


@compiled
def draw(key, start, words):
    """Fill `words` (uint64) with the draws of elements from start - start % 4 on: those of `draws.draws`."""
    first = np.uint64(start // 4)
    for q in range(words.size):
        z = key + (first + np.uint64(q) + np.uint64(1)) * _GAMMA
        z = (z ^ (z >> _S30)) * _MIX_1
        z = (z ^ (z >> _S27)) * _MIX_2
        words[q] = z ^ (z >> _S31)


@compiled
def widen(raw_N, out_N):
    """bfloat16 bits to float32."""
    bits_N = out_N.view(np.uint32)
    for i in range(raw_N.size):
        bits_N[i] = np.uint32(raw_N[i]) << np.uint32(16)


@compiled
def difference(raw_N, base_N, delta_N):
    """The task vector of bfloat16 elements, or the model itself where `base_N` is empty."""
    widen(raw_N, delta_N)
    for i in range(base_N.size):
        delta_N[i] -= base_N[i]


@compiled
def take(kept, weight, first, i, total_N, work_N):
    """Weigh one element that a drop has left, keep it for the vote, and add it up."""
    value = kept * weight
    work_N[i] = value
    total_N[i] = value if first else total_N[i] + value


@compiled
def keep_all(delta_N, weight, first, total_N, work_N):
    for i in range(delta_N.size):
        take(delta_N[i], weight, first, i, total_N, work_N)


@compiled
def keep_at_random(delta_N, draws_N, steps, scale, weight, first, total_N, work_N):
    """DARE, as in `sparsify.dare`; returns how many are not zero."""
    count = np.int32(0)
    for i in range(delta_N.size):
        kept = delta_N[i] * (_ONE if np.uint32(draws_N[i]) < steps else _ZERO) * scale
        take(kept, weight, first, i, total_N, work_N)
        count += np.int32(kept != _ZERO)
    return count


@compiled
def keep_large(delta_N, threshold, weight, first, total_N, work_N):
    """TIES' trim, as in `sparsify.trim`."""
    for i in range(delta_N.size):
        take(delta_N[i] * (_ONE if abs(delta_N[i]) >= threshold else _ZERO), weight, first, i, total_N, work_N)


@compiled
def add_agreeing(work_N, vote_N, out_N):
    """Add the weighted elements whose sign is the vote's; returns how many."""
    count = np.int32(0)
    for i in range(out_N.size):
        value = work_N[i]
        agrees = ((value > _ZERO) == (vote_N[i] >= _ZERO)) & (value != _ZERO)
        out_N[i] += value * (_ONE if agrees else _ZERO)
        count += np.int32(agrees)
    return count


@compiled
def add_agreeing_weight(work_N, weight, vote_N, out_N):
    for i in range(out_N.size):
        value = work_N[i]
        agrees = ((value > _ZERO) == (vote_N[i] >= _ZERO)) & (value != _ZERO)
        out_N[i] += (_ONE if agrees else _ZERO) * weight


@compiled
def elect(work_MN, weights_M, normalize, vote_N, out_N, spare_N, kept_M):
    """`mix.elected_sum` of weighted task vectors and their sum; `kept_M` gains the numbers of elements that agree."""
    size = out_N.size
    out_N[:] = _ZERO
    for m in range(weights_M.size):
        kept_M[m] += add_agreeing(work_MN[m, :size], vote_N, out_N)
    if normalize:
        spare_N[:] = _ZERO
        for m in range(weights_M.size):
            add_agreeing_weight(work_MN[m, :size], weights_M[m], vote_N, spare_N)
        for i in range(size):
            out_N[i] /= _ONE if abs(spare_N[i]) < _NOTHING else spare_N[i]


@compiled
def narrow(values_N, raw_N):
    """float32 to bfloat16 bits: to nearest, ties to even, NaN as 0x7fc0, as in `tensors.bf16_bits`."""
    bits_N = values_N.view(np.uint32)
    for i in range(values_N.size):
        bits = bits_N[i]
        rounded = np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))
        raw_N[i] = rounded if values_N[i] == values_N[i] else np.uint16(0x7FC0)


@compiled
def mix(total_N, work_MN, how, mixing, base_N, mixed_N, spare_N, kept_M, out_raw_N):
    """From the weighted task vectors and their sum to the mix, the sum with the base (unless that is empty), and bits.

    Scaling by 1 changes nothing, so `mix.linear_mix` and `mix.elected_sum` may leave it out.
    """
    weights_M, normalize, divisor, scale = mixing
    size = mixed_N.size
    if how == ELECT:
        elect(work_MN, weights_M, normalize, total_N, mixed_N, spare_N, kept_M)
    elif normalize:
        for i in range(size):
            mixed_N[i] = total_N[i] / divisor
    else:
        mixed_N[:] = total_N
    if base_N.size:
        for i in range(size):
            mixed_N[i] *= scale
            spare_N[i] = base_N[i] + mixed_N[i]
        narrow(spare_N, out_raw_N)
    else:
        for i in range(size):
            mixed_N[i] *= scale
        narrow(mixed_N, out_raw_N)


@compiled
def by_element(base_raw_N, models_raw_MN, drop, limits, how, mixing, start, sums, out_N):
    """The whole chain for methods that look at one element at a time.

    `limits` is (keys_M uint64, steps_M uint32, scales_M, thresholds_M); `mixing` (weights_M, normalize, divisor,
    scale). Fills out_N (bfloat16 bits) and adds to `sums`: (kept_M, gram_MM, squares_2).
    """
    keys_M, steps_M, scales_M, thresholds_M = limits
    kept_M, gram_MM, squares_2 = sums
    models, size = models_raw_MN.shape
    base, mixed, deltas_MT = (
        np.empty(_TILE, np.float32),
        np.empty(_TILE, np.float32),
        np.empty((models, _TILE), np.float32),
    )
    weights_M, has_base, skip = mixing[0], base_raw_N.size > 0, start % 4
    work_MT, total_T, spare_T = (
        np.empty((models, _TILE), np.float32),
        np.empty(_TILE, np.float32),
        np.empty(_TILE, np.float32),
    )
    words = np.empty(_TILE // 4 + 1, np.uint64)
    draws = words.view(np.uint16)
    for a in range(0, size, _TILE):
        b = min(a + _TILE, size)
        n = b - a
        base_T, mixed_T, total = base[: n if has_base else 0], mixed[:n], total_T[:n]
        widen(base_raw_N[a:b] if has_base else base_raw_N[:0], base_T)
        for m in range(models):
            delta_T, work_T, first = deltas_MT[m, :n], work_MT[m, :n], m == 0
            difference(models_raw_MN[m, a:b], base_T, delta_T)
            if drop == DARE:
                draw(keys_M[m], start + a, words[: (n + skip + 3) // 4])
                count = keep_at_random(
                    delta_T, draws[skip : skip + n], steps_M[m], scales_M[m], weights_M[m], first, total, work_T
                )
                if how == SUM:
                    kept_M[m] += count
            elif drop == TRIM:
                keep_large(delta_T, thresholds_M[m], weights_M[m], first, total, work_T)
            else:
                keep_all(delta_T, weights_M[m], first, total, work_T)
        mix(total, work_MT, how, mixing, base_T, mixed_T, spare_T[:n], kept_M, out_N[a:b])
        add_products(deltas_MT, n, base_T, mixed_T, gram_MM, squares_2)


@compiled
def rank_keys(delta_N, columns, bits, keys_N):
    """One uint32 per element that sorts a row nearly by (magnitude, column): the upper 32 - `bits` of the magnitude's
    31 bits, then the column."""
    magnitude_N = delta_N.view(np.uint32)
    cut, up = np.uint32(bits - 1), np.uint32(bits)
    for row in range(0, delta_N.size, columns):
        for c in range(columns):
            magnitude = magnitude_N[row + c] & np.uint32(0x7FFFFFFF)
            keys_N[row + c] = ((magnitude >> cut) << up) | np.uint32(c)


@compiled
def settle(delta_N, columns, bits, keys_N):
    """Put sorted `rank_keys` whose upper bits are equal into the order of their whole magnitudes, then columns; leaves
    columns alone in `keys_N`.

    Differences of bfloat16 numbers seldom have more bits than a key holds, so per row only the runs of those that do
    are looked up and sorted again.
    """
    magnitude_N = delta_N.view(np.uint32)
    mask, cut = np.uint32((1 << bits) - 1), np.uint32((1 << (bits - 1)) - 1)
    whole = np.empty(columns, np.uint64)
    for row in range(0, delta_N.size, columns):
        lost = np.int32(0)
        for i in range(row, row + columns):
            lost += np.int32((magnitude_N[i] & cut) != 0)
        magnitude_C, keys_C = magnitude_N[row : row + columns], keys_N[row : row + columns]
        if lost > _MANY:
            settle_run(magnitude_C, mask, keys_C, whole)
        elif lost:
            settled = np.uint32(0xFFFFFFFF)
            for i in range(columns):
                magnitude = magnitude_C[i] & np.uint32(0x7FFFFFFF)
                upper = (magnitude >> np.uint32(bits - 1)) << np.uint32(bits)
                if magnitude & cut and upper != settled:
                    begin = np.searchsorted(keys_C, upper)
                    end = np.searchsorted(keys_C, upper | mask, side="right")
                    settle_run(magnitude_C, mask, keys_C[begin:end], whole[: end - begin])
                    settled = upper
    for i in range(keys_N.size):
        keys_N[i] &= mask


@compiled
def settle_run(magnitude_C, mask, keys_K, whole_K):
    """`settle` for one run of keys with equal upper bits."""
    for i in range(keys_K.size):
        column = keys_K[i] & mask
        magnitude = magnitude_C[np.int64(column)] & np.uint32(0x7FFFFFFF)
        whole_K[i] = (np.uint64(magnitude) << np.uint64(32)) | np.uint64(keys_K[i])
    if keys_K.size > _SHORT_RUN:
        whole_K.sort()
    else:
        insert(whole_K)
    for i in range(keys_K.size):
        keys_K[i] = np.uint32(whole_K[i] & np.uint64(0xFFFFFFFF))


@compiled
def insert(values):
    """Insertion sort of a few."""
    for i in range(1, values.size):
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@compiled
def prune_by_rank(delta_N, order_N, columns, key, start, steps_C, factors_C, weight, first, total_N, work_N):
    """DELLA's MAGPRUNE, as in `sparsify.magprune`, with each row's columns by rising magnitude in `order_N`; returns
    how many are not zero."""
    words = np.empty((delta_N.size + 6) // 4, np.uint64)
    draw(key, start, words)
    skip = start % 4
    draws_N = words.view(np.uint16)[skip : skip + delta_N.size]
    for row in range(0, delta_N.size, columns):
        for r in range(columns):
            i = row + np.int64(order_N[row + r])
            work_N[i] = np.float32(np.uint32(draws_N[i]) < steps_C[r]) * factors_C[r]
    count = np.int32(0)
    for i in range(delta_N.size):
        kept = work_N[i] * delta_N[i]
        take(kept, weight, first, i, total_N, work_N)
        count += np.int32(kept != _ZERO)
    return count
