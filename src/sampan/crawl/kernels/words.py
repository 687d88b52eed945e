"""Compiled search for a word in the bytes of a page, and counts of bytes in it."""

from __future__ import annotations

from ...core.compiled import leaf
from .lanes import WIDTH, count_later, count_of, count_of_pair, first_of_pair

_LT, _SLASH = ord("<"), ord("/")


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


@leaf
def characters(data, end):
    """Characters of the UTF-8 in data[:end]."""
    i = later = 0
    while i + WIDTH <= end:
        later += count_later(data, i)
        i += WIDTH
    while i < end:
        later += data[i] & 0xC0 == 0x80
        i += 1
    return end - later


@leaf
def count_tags(data):
    """How many `<` there are, and how many of them a `/` follows."""
    i = tags = ends = 0
    while i + WIDTH < data.size:
        tags += count_of(data, i, _LT)
        ends += count_of_pair(data, i, _LT, i + 1, _SLASH)
        i += WIDTH
    while i < data.size:
        if data[i] == _LT:
            tags += 1
            ends += i + 1 < data.size and data[i + 1] == _SLASH
        i += 1
    return tags, ends
