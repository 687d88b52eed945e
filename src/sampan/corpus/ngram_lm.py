"""An n-gram language model over hashed counting units: interpolated modified Kneser-Ney (Chen and Goodman 1998, §3).

Units are words, or clusters in scripts without spaces, so that one model reads every script and needs no tokenizer.
Letter case is folded and every digit is one digit; punctuation is not counted.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..lang.units import ngram_hashes, units
from .ngram_table import NgramTable

BEGIN = np.uint64(0xB0B1B2B3B4B5B6B7)
"""Stands before each text's first unit."""
_DIGIT = re.compile(r"\d")


def text_units(text: str, spaced: bool) -> np.ndarray:
    """Hashes [U+1] of the units that the model reads, BEGIN first."""
    hashes_U = units(_DIGIT.sub("0", unicodedata.normalize("NFC", text.casefold())), spaced).hashes_U
    return np.concatenate((np.array([BEGIN]), hashes_U))


@dataclass(frozen=True)
class NgramModel:
    """A trained model. `unknown_bits` is -log2 of the probability of a unit never seen."""

    order: int
    spaced: bool
    unknown_bits: float
    table: NgramTable

    @classmethod
    def load(cls, path: Path, *, order: int, spaced: bool, unknown_bits: float) -> NgramModel:
        """The model whose table is the file `path`; ValueError if it is none."""
        return cls(order, spaced, unknown_bits, NgramTable.load(path))

    def bits(self, text: str) -> tuple[float, int]:
        """-log2 of the probability of a text, and the number of its units; (0.0, 0) for a text without any."""
        hashes_T = text_units(text, self.spaced)
        count = len(hashes_T) - 1
        return (self.bits_of(hashes_T), count) if count else (0.0, 0)

    def bits_of(self, hashes_T: np.ndarray) -> float:
        """-log2 of the probability of a text given as `text_units` gives it."""
        return float(self._each(hashes_T).sum(dtype=np.float64)) if len(hashes_T) > 1 else 0.0

    def _each(self, hashes_T: np.ndarray) -> np.ndarray:
        """-log2 p of each unit after BEGIN given what stands before it [T-1].

        The longest n-gram that is known gives the probability; for each longer one the weight of its context is paid.
        """
        grams = [ngram_hashes(hashes_T, n) for n in range(1, min(self.order, len(hashes_T)) + 1)]
        found, bits, backoffs = (
            np.split(values, np.cumsum([len(each) for each in grams])[:-1])
            for values in self.table.look_up(np.concatenate(grams))
        )
        best_T = np.where(found[0], bits[0], np.float32(self.unknown_bits))
        for n in range(2, len(grams) + 1):
            # An n-gram that starts at place s ends at s + n - 1; its context is the (n-1)-gram that starts there.
            tail = best_T[n - 1 :]
            tail[:] = np.where(found[n - 1], bits[n - 1], tail + backoffs[n - 2][: len(tail)])
        return best_T[1:]


def train_model(hashes_T: np.ndarray, *, order: int, spaced: bool, max_ngrams: int) -> NgramModel:
    """A model of texts laid end to end as `text_units` gives them; the rarest n-grams beyond `max_ngrams` are left out,
    single units last, and what they would have foretold is foretold by shorter ones."""
    levels = _adjusted_counts(hashes_T, order)
    types = len(levels[0].keys)
    lower_N, unknown = np.zeros(0), 1.0
    parts = []
    for n, level in enumerate(levels, 1):
        discounts = _discounts(level.counts)
        kept_N = level.counts - discounts[np.minimum(level.counts, 3)]
        context_N, totals_C, gammas_C, contexts = _contexts(level, discounts)
        if n == 1:
            unknown = float(gammas_C[0]) / types  # BEGIN, which is never foretold, leaves its place to the unknown unit
            below_N = np.full(types, 1 / types)
        else:
            below_N = lower_N[level.suffix]
            parts[-1][2][contexts] = gammas_C
        lower_N = kept_N / totals_C[context_N] + gammas_C[context_N] * below_N
        parts.append([level.keys, lower_N, np.ones(len(lower_N)), level.raw])
    keys, probabilities, gammas, counts = (np.concatenate(values) for values in zip(*parts, strict=True))
    long = np.arange(len(keys)) >= types
    first = np.lexsort((keys, -counts, long))[:max_ngrams]
    table = NgramTable.build(keys[first], *(-np.log2(np.maximum(v[first], 2.0**-32)) for v in (probabilities, gammas)))
    return NgramModel(order, spaced, -float(np.log2(unknown)), table)


@dataclass
class _Level:
    """The unique n-grams of one n, sorted by hash."""

    keys: np.ndarray
    counts: np.ndarray
    """Times it occurs; below the highest order the number of different units before it, but for texts' first words."""
    raw: np.ndarray
    """Times it occurs."""
    prefix: np.ndarray
    """Place among the (n-1)-grams of all but its last unit."""
    suffix: np.ndarray
    """Place of all but its first unit."""


def _adjusted_counts(hashes_T: np.ndarray, order: int) -> list[_Level]:
    """The n-grams of 1 to `order` units that lie within one text."""
    text_T = np.cumsum(hashes_T == BEGIN)
    levels: list[_Level] = []
    shorter_T = np.zeros(len(hashes_T), np.int64)
    for n in range(1, order + 1):
        within = text_T[: len(text_T) - n + 1] == text_T[n - 1 :]
        starts = np.flatnonzero(within)
        if not len(starts):
            break
        keys, first, ids, raw = np.unique(
            ngram_hashes(hashes_T, n)[starts], return_index=True, return_inverse=True, return_counts=True
        )
        first = starts[first]
        prefix, suffix = (shorter_T[first], shorter_T[first + 1]) if n > 1 else (np.zeros(len(keys), np.int64),) * 2
        levels.append(_Level(keys, raw.astype(np.int64), raw, prefix, suffix))
        if n > 1:
            below = levels[-2]
            continuations = np.bincount(suffix, minlength=len(below.keys))
            below.counts = np.where(continuations > 0, continuations, below.raw)
        shorter_T = np.full(len(hashes_T), -1, np.int64)
        shorter_T[starts] = ids
    levels[0].counts[levels[0].keys == ngram_hashes(np.array([BEGIN]), 1)[0]] = 0
    return levels


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off counts of 0, 1, 2 and 3 or more (Chen and Goodman, equation 26), within what is there."""
    n1, n2, n3, n4 = (int((counts == number).sum()) for number in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return np.array([0.0, 0.5, 1.0, 1.5])
    y = n1 / (n1 + 2 * n2)
    wanted = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    return np.clip(wanted, [0, 0.1, 0.1, 0.1], [0, 0.9, 1.9, 2.9])


def _contexts(level: _Level, discounts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each n-gram its context's number [N]; of each context the sum of counts, the weight left for shorter n-grams,
    and its place among them [C]."""
    contexts, context_N = np.unique(level.prefix, return_inverse=True)
    totals_C = np.bincount(context_N, level.counts)
    taken_C = np.bincount(context_N, discounts[np.minimum(level.counts, 3)])
    return context_N, totals_C, taken_C / totals_C, contexts
