"""Many strings looked for in a text at once, in array work: four characters in a row are hashed at every place, and the
few places whose hash begins a string are compared letter by letter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from ..lang.units import codepoints
from .kernels import loops

_WIDTH, BITS = 4, 16
FACTORS = [np.uint32(factor) for factor in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F)]
"""Odd constants of xxHash (Collet); any will do, since every hit is compared."""


class Literals:
    """A list of strings, such as notices in lower case; those of fewer than four characters are looked for singly."""

    def __init__(self, strings: Iterable[str]) -> None:
        self._short: list[str] = []
        by_begin: dict[str, list[str]] = defaultdict(list)
        self._begins = np.zeros(1 << BITS, bool)
        for string in strings:
            if len(string) < _WIDTH:
                self._short.append(string)
            else:
                by_begin[string[:_WIDTH]].append(string)
                self._begins[_hashes(codepoints(string[:_WIDTH]))[0]] = True
        self._by_begin = {begin: tuple(found) for begin, found in by_begin.items()}

    def places(self, text: str, codepoints_C: np.ndarray) -> list[int]:
        """Where any of the strings begins in `text`, whose code points are given, sorted."""
        found = {place for string in self._short for place in _places(text, string)}
        if len(text) >= _WIDTH:
            for place in self._likely(codepoints_C).tolist():
                if text.startswith(self._by_begin.get(text[place : place + _WIDTH], ()), place):
                    found.add(place)
        return sorted(found)

    def _likely(self, codepoints_C: np.ndarray) -> np.ndarray:
        """Where a string may begin, by hash."""
        if (compiled := loops("repeats")) is not None:
            return compiled.likely_places(codepoints_C, self._begins)
        return np.flatnonzero(self._begins[_hashes(codepoints_C)])


def _hashes(codepoints_C: np.ndarray) -> np.ndarray:
    """Of the four characters from each place on."""
    rows = len(codepoints_C) - _WIDTH + 1
    mixed = codepoints_C[:rows] * FACTORS[0]
    for place, factor in enumerate(FACTORS[1:], 1):
        mixed ^= codepoints_C[place : place + rows] * factor
    return mixed >> np.uint32(32 - BITS)


def _places(text: str, string: str) -> Iterable[int]:
    place = text.find(string)
    while place >= 0:
        yield place
        place = text.find(string, place + 1)
