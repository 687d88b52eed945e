"""Compiled `ngrams.feature_places`, with the weights of the places added up on the way."""

from __future__ import annotations

import numpy as np

from ...core.compiled import compiled, leaf
from .. import ngrams

_BLANK, _STEP, _WORD, _MIX, _PLACE = (
    ngrams.BLANK,
    *(int(n) for n in (ngrams.STEP, ngrams.WORD, ngrams.MIX, ngrams.PLACE)),
)
_BITS_32 = 0xFFFFFFFF


@leaf
def letters_of(points, table, codes):
    """`ngrams.letter_codes` of characters in lower case, into `codes`; returns their number."""
    size, blank = 0, False
    for i in range(points.size):
        code = table[min(np.int64(points[i]), table.size - 1)]
        if code == _BLANK and blank:
            continue
        blank = code == _BLANK
        codes[size] = code
        size += 1
    return size


@leaf
def _times(value, factor):
    """The product modulo 2**32."""
    return (np.uint64(value) * np.uint64(factor)) & np.uint64(_BITS_32)


@leaf
def _place(value, bits):
    """The row of a feature's hash in the table of weights."""
    value = _times(value ^ (value >> np.uint64(15)), _MIX)
    return np.int64(value >> np.uint64(32 - bits))


@leaf
def _word(codes, start, end):
    """The hash of a word, the blank after it included, as `ngrams` adds it up."""
    total = np.uint64(0)
    for place in range(end - start + 1):
        code = np.uint64(codes[start + place])
        term = _times(code, _MIX) ^ _times(code + np.uint64(place), _WORD)
        total += _times(term, 2 * place + _PLACE)
    return _times(total & np.uint64(_BITS_32), _WORD)


@leaf
def _find(codes, size, longest, bits, places):
    """The rows of all features of the letters codes[:size], into `places`; returns their number."""
    found = 0
    for start in range(size):
        value = _times(codes[start], _STEP)
        if codes[start] != _BLANK:
            places[found] = _place(value, bits)
            found += 1
        for n in range(2, min(longest, size - start) + 1):
            if n > 2 and codes[start + n - 2] == _BLANK:
                break
            value = (_times(value ^ np.uint64(codes[start + n - 1]), _STEP) + np.uint64(n)) & np.uint64(_BITS_32)
            places[found] = _place(value, bits)
            found += 1
    last = -1
    for end in range(size):
        if codes[end] == _BLANK:
            if last >= 0:
                places[found] = _place(_word(codes, last + 1, end), bits)
                found += 1
            last = end
    return found


@leaf
def _add_up(places, found, weights_RL, sums_L):
    for i in range(found):
        row = places[i]
        for label in range(sums_L.size):
            sums_L[label] += weights_RL[row, label]


@compiled
def weight_sums(points, table, weights_RL, longest, bits):
    """Sums [L] (int32) of the weights (int8) of all features of a text in lower case, and the number of features.

    All rows are known before the first is read, so that the processor fetches many of them at once: they lie far apart.
    """
    codes = np.empty(points.size, np.uint32)
    size = letters_of(points, table, codes)
    places = np.empty((longest + 1) * size, np.int64)
    found = _find(codes, size, longest, bits, places)
    sums_L = np.zeros(weights_RL.shape[1], np.int32)
    _add_up(places, found, weights_RL, sums_L)
    return sums_L, found
