"""Compiled search for a word in the bytes of a page."""

from __future__ import annotations

from ...core.compiled import leaf
from .lanes import WIDTH, first_of_pair


@leaf
def find_word(data, word):
    """Where `word`, of two bytes or more, first stands in `data`; -1 if it does not.

    Its first and last byte are looked for at once, which few other places have both of.
    """
    i, reach = 0, word.size - 1
    first, last = word[0], word[reach]
    end = data.size - reach
    while i + WIDTH <= end:
        place = first_of_pair(data, i, first, i + reach, last)
        if place == WIDTH:
            i += WIDTH
            continue
        i += place
        if _stands(data, i, word):
            return i
        i += 1
    while i < end:
        if _stands(data, i, word):
            return i
        i += 1
    return -1


@leaf
def _stands(data, at, word):
    for k in range(word.size):  # noqa: SIM110 - numba compiles no generators
        if data[at + k] != word[k]:
            return False
    return True
