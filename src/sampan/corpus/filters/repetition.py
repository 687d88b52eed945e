"""Documents that say the same again and again: repeated lines and paragraphs, one repeated phrase, repeated passages.

All of Gopher's table A1 (Rae et al. 2021), with n-grams over words or clusters instead of words only. A cluster is
about a third of a word, so n-grams over clusters are three times as long. Repeats are found by 64-bit hashes.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ...lang.units import ngram_hashes
from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import Lines, TextView

REVISION = 2
MIN_LINES, MIN_UNITS = 5, 40
"""Below these numbers repeats are chance: the rule is not applied."""
TOP_NS, DUPLICATE_NS = (2, 3, 4), (5, 6, 7, 8, 9, 10)


def repetition(view: TextView) -> Verdict:
    """Drops `repeated_lines`, `repeated_paragraphs`, `repeated_phrase` (a frequent short n-gram) and
    `repeated_passages` (long n-grams seen before)."""
    return judge(view, RULES)


def _repeats(spans: Lines) -> np.ndarray:
    """Which spans repeat an earlier one [L]."""
    _, first = np.unique(spans.hashes_L, return_index=True)
    repeats = np.ones(len(spans), bool)
    repeats[first] = False
    return repeats


def _repeated_spans(view: TextView, spans: str) -> float | None:
    """Share of lines or paragraphs that repeat an earlier one."""
    found: Lines = getattr(view, spans)
    return float(_repeats(found).mean()) if len(found) >= MIN_LINES else None


def _repeated_span_characters(view: TextView, spans: str) -> float | None:
    """Share of the lines' or paragraphs' characters that stand in repeats of an earlier one."""
    found: Lines = getattr(view, spans)
    if len(found) < MIN_LINES:
        return None
    return float(found.lengths_L[_repeats(found)].sum() / found.lengths_L.sum())


def _top_ngram(view: TextView, n: int) -> float | None:
    """Share of the units' characters that the most frequent n-gram covers, if it occurs more than twice."""
    grams = _grams(view, n)
    if grams is None:
        return None
    ordered = np.sort(grams)
    edges = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, len(ordered))
    times = np.diff(edges, prepend=0)
    most = times.max(initial=0)
    if most <= 2:
        return 0.0
    tops = ordered[edges[times == most] - 1]
    return max(_covered(view, np.flatnonzero(grams == top), n * view.word_units) for top in tops[:4])


def _duplicate_ngrams(view: TextView, n: int) -> float | None:
    """Share of the units' characters that lie in an n-gram already seen earlier in the text."""
    grams = _grams(view, n)
    if grams is None:
        return None
    order = np.argsort(grams, kind="stable")
    ordered = grams[order]
    later = np.sort(order[1:][ordered[1:] == ordered[:-1]])
    return _covered(view, later, n * view.word_units)


def _grams(view: TextView, n: int) -> np.ndarray | None:
    if len(view.units) < MIN_UNITS:
        return None
    return ngram_hashes(view.units, n * view.word_units)


def _covered(view: TextView, places: np.ndarray, n: int) -> float:
    """Share of the units' characters in the runs of `n` units at `places` (sorted), overlaps counted once."""
    if not len(places):
        return 0.0
    sums = np.append(0, np.cumsum(view.units.ends_U - view.units.starts_U))
    ends = places + n
    begins = np.append(places[0], np.maximum(places[1:], ends[:-1]))
    return float((sums[ends] - sums[begins]).sum() / sums[-1])


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
