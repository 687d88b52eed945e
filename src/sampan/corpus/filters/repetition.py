"""Documents that say the same again and again: repeated lines and paragraphs, one repeated phrase, repeated passages.

All of Gopher's table A1 (Rae et al. 2021), with n-grams over words or clusters instead of words only. A cluster is
about a third of a word, so n-grams over clusters are three times as long. Repeats are found by 64-bit hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import ModuleType

import numpy as np

from ...lang.units import ngram_hashes
from ..kernels import loops
from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import Lines, TextView

REVISION = 2
MIN_LINES, MIN_UNITS = 5, 40
"""Below these numbers repeats are chance: the rule is not applied."""
TOP_NS, DUPLICATE_NS = (2, 3, 4), (5, 6, 7, 8, 9, 10)
MAX_TIES = 4
"""Of n-grams that are equally frequent so many are looked at."""


def repetition(view: TextView) -> Verdict:
    """Drops `repeated_lines`, `repeated_paragraphs`, `repeated_phrase` (a frequent short n-gram) and
    `repeated_passages` (long n-grams seen before)."""
    return judge(view, RULES)


def _repeats(view: TextView, spans: str) -> np.ndarray:
    """Which lines or paragraphs repeat an earlier one [L]."""
    if spans not in view.memo:
        found: Lines = getattr(view, spans)
        if (compiled := loops("repeats")) is not None:
            view.memo[spans] = compiled.seen_before(found.hashes_L)
            return view.memo[spans]
        _, first = np.unique(found.hashes_L, return_index=True)
        repeats = np.ones(len(found), bool)
        repeats[first] = False
        view.memo[spans] = repeats
    return view.memo[spans]


def _repeated_spans(view: TextView, spans: str) -> float | None:
    """Share of lines or paragraphs that repeat an earlier one."""
    found: Lines = getattr(view, spans)
    return float(_repeats(view, spans).mean()) if len(found) >= MIN_LINES else None


def _repeated_span_characters(view: TextView, spans: str) -> float | None:
    """Share of the lines' or paragraphs' characters that stand in repeats of an earlier one."""
    found: Lines = getattr(view, spans)
    if len(found) < MIN_LINES:
        return None
    return float(found.lengths_L[_repeats(view, spans)].sum() / found.lengths_L.sum())


def _top_ngram(view: TextView, n: int) -> float | None:
    """Share of the units' characters that the most frequent n-gram covers, if it occurs more than twice."""
    if len(view.units) < MIN_UNITS:
        return None
    if (compiled := loops("repeats")) is not None:
        return _compiled(compiled, view)[0][n]
    repeats = _repeated_ngrams(view, n)
    if not len(repeats.places_P):
        return 0.0
    grams, times = np.unique(repeats.grams_P, return_counts=True)
    most = times.max()
    if most <= 2:
        return 0.0
    tops = grams[times == most][:MAX_TIES]
    return max(_covered(view, repeats.places_P[repeats.grams_P == top], n * view.word_units) for top in tops)


def _duplicate_ngrams(view: TextView, n: int) -> float | None:
    """Share of the units' characters that lie in an n-gram already seen earlier in the text."""
    if len(view.units) < MIN_UNITS:
        return None
    if (compiled := loops("repeats")) is not None:
        return _compiled(compiled, view)[1][n]
    repeats = _repeated_ngrams(view, n)
    if not len(repeats.places_P):
        return 0.0
    _, first = np.unique(repeats.grams_P, return_index=True)
    return _covered(view, np.delete(repeats.places_P, first), n * view.word_units)


@dataclass(frozen=True)
class _Repeats:
    """Where n-grams that occur more than once start, in order, and their hashes."""

    places_P: np.ndarray
    grams_P: np.ndarray


def _repeated_ngrams(view: TextView, n: int) -> _Repeats:
    """Only where a shorter n-gram is repeated can a longer one be, so each length looks only at what the one before
    left."""
    if n in view.memo:
        return view.memo[n]
    length = n * view.word_units
    if n == TOP_NS[0]:
        places = np.arange(max(0, len(view.units) - length + 1))
    else:
        places = _repeated_ngrams(view, n - 1).places_P
        places = places[places <= len(view.units) - length]
    if not len(places):
        view.memo[n] = _Repeats(places, places)
        return view.memo[n]
    grams = ngram_hashes(view.units, length, places)
    order = np.argsort(grams)
    same = grams[order[1:]] == grams[order[:-1]]
    repeated = np.zeros(len(places), bool)
    repeated[order[1:][same]] = True
    repeated[order[:-1][same]] = True
    view.memo[n] = _Repeats(places[repeated], grams[repeated])
    return view.memo[n]


def _compiled(compiled: ModuleType, view: TextView) -> tuple[list[float], list[float]]:
    """The shares that `_top_ngram` and `_duplicate_ngrams` give, by n."""
    if "shares" not in view.memo:
        sums, span = _lengths(view), (TOP_NS[0], DUPLICATE_NS[-1])
        counts = compiled.all_repeats(view.units.hashes_U, view.word_units, *span, sums, MAX_TIES)
        view.memo["shares"] = tuple([count / int(sums[-1]) for count in each.tolist()] for each in counts)
    return view.memo["shares"]


def _covered(view: TextView, places: np.ndarray, n: int) -> float:
    """Share of the units' characters in the runs of `n` units at `places` (sorted), overlaps counted once."""
    if not len(places):
        return 0.0
    sums = _lengths(view)
    ends = places + n
    begins = np.append(places[0], np.maximum(places[1:], ends[:-1]))
    return float((sums[ends] - sums[begins]).sum() / sums[-1])


def _lengths(view: TextView) -> np.ndarray:
    """Characters of the first 0, 1, … units."""
    if "lengths" not in view.memo:
        view.memo["lengths"] = np.append(0, np.cumsum(view.units.ends_U - view.units.starts_U))
    return view.memo["lengths"]


RULES = (
    Rule("repeated_lines", "max_duplicate_line_share", partial(_repeated_span_characters, spans="lines")),
    Rule("repeated_lines", "max_duplicate_lines", partial(_repeated_spans, spans="lines")),
    Rule(
        "repeated_paragraphs", "max_duplicate_paragraph_share", partial(_repeated_span_characters, spans="paragraphs")
    ),
    Rule("repeated_paragraphs", "max_duplicate_paragraphs", partial(_repeated_spans, spans="paragraphs")),
    *(Rule("repeated_phrase", f"max_top_{n}gram_share", partial(_top_ngram, n=n)) for n in TOP_NS),
    *(Rule("repeated_passages", f"max_duplicate_{n}gram_share", partial(_duplicate_ngrams, n=n)) for n in DUPLICATE_NS),
)
