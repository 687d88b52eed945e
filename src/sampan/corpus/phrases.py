"""Phrases of a list found in a text: whole units only, so that no phrase is found inside another word or cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from ..lang.units import Units, ngram_hashes, units
from .kernels import loops


class Phrases:
    """A list of words and phrases, read in the units of a language (`spaced` or not) and without case."""

    def __init__(self, phrases: Iterable[str], spaced: bool) -> None:
        by_length: dict[int, set[int]] = defaultdict(set)
        firsts = set()
        for phrase in phrases:
            found = units(phrase.lower(), spaced)
            if len(found):
                by_length[len(found)].add(int(ngram_hashes(found, len(found))[0]))
                firsts.add(int(found.hashes_U[0]))
        self._firsts = np.array(sorted(firsts), np.uint64)
        self._by_length = {n: np.array(sorted(hashes), np.uint64) for n, hashes in sorted(by_length.items())}
        self._lengths_N = np.array([*self._by_length], np.int64)
        self._known_K = np.concatenate([np.zeros(0, np.uint64), *self._by_length.values()])
        self._begins_N = np.cumsum([0, *map(len, self._by_length.values())])

    def find(self, folded: Units) -> tuple[int, int]:
        """(different phrases that occur, units that lie in one), for a text in lower case."""
        if (compiled := loops("counts")) is not None:
            return compiled.find_phrases(folded.hashes_U, self._firsts, self._lengths_N, self._known_K, self._begins_N)
        if not among(folded.counted[0], self._firsts).any():
            return 0, 0
        starts = np.flatnonzero(among(folded.hashes_U, self._firsts))
        inside = np.zeros(len(folded) + 1, np.int64)
        different = 0
        for n, known in self._by_length.items():
            places = starts[starts <= len(folded) - n]
            grams = ngram_hashes(folded, n, places)
            hits = among(grams, known)
            if hits.any():
                different += len(np.unique(grams[hits]))
                np.add.at(inside, places[hits], 1)
                np.add.at(inside, places[hits] + n, -1)
        return different, int(np.count_nonzero(np.cumsum(inside)[:-1]))


def among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which of `values` are in `known`, a sorted array."""
    if not len(values) or not len(known):
        return np.zeros(len(values), bool)
    return known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values
