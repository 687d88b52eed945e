"""Documents that say the same again and again: repeated lines, one repeated phrase, long passages repeated.

After Gopher (Rae et al. 2021, table A1), with n-grams over words or clusters instead of words only. A cluster is about
a third of a word, so n-grams over clusters are three times as long.
"""

from __future__ import annotations

from collections import Counter

from ..verdict import KEEP, Verdict, drop
from ..view import TextView

REVISION = 1
TOP_N, DUPLICATE_N, CLUSTERS_PER_WORD = 4, 10, 3
MIN_LINES, MIN_UNITS = 5, 40
"""Below these numbers repeats are chance: the rule is not applied."""


def repetition(view: TextView) -> Verdict:
    """Drops `repeated_lines`, `repeated_phrase` and `repeated_passages`."""
    if _duplicate_lines(view) > view.limits.max_duplicate_line_share:
        return drop("repeated_lines")
    if len(view.units) < MIN_UNITS:
        return KEEP
    scale = 1 if view.profile.spaced else CLUSTERS_PER_WORD
    if _top_ngram(view.units, TOP_N * scale) > view.limits.max_top_ngram_share:
        return drop("repeated_phrase")
    if _duplicate_ngrams(view.units, DUPLICATE_N * scale) > view.limits.max_duplicate_ngram_share:
        return drop("repeated_passages")
    return KEEP


def _duplicate_lines(view: TextView) -> float:
    """Share of the lines' characters that stand in repeats of an earlier line."""
    if len(view.lines) < MIN_LINES:
        return 0.0
    times = Counter(view.lines)
    total = sum(map(len, view.lines))
    return sum(len(line) * (number - 1) for line, number in times.items()) / total


def _top_ngram(units: list[str], n: int) -> float:
    """Share of the units covered by the most frequent n-gram that occurs more than twice, overlaps counted once."""
    times = Counter(zip(*(units[shift:] for shift in range(n)), strict=False))
    if not times:
        return 0.0
    gram, number = max(times.items(), key=lambda item: (item[1], item[0]))
    if number <= 2:
        return 0.0
    covered = place = 0
    while place <= len(units) - n:
        hit = tuple(units[place : place + n]) == gram
        covered += n if hit else 0
        place += n if hit else 1
    return covered / len(units)


def _duplicate_ngrams(units: list[str], n: int) -> float:
    """Share of the units that lie in an n-gram already seen earlier in the text."""
    seen: set[tuple[str, ...]] = set()
    covered = end = 0
    for place in range(len(units) - n + 1):
        gram = tuple(units[place : place + n])
        if gram in seen:
            covered += place + n - max(end, place)
            end = place + n
        else:
            seen.add(gram)
    return covered / len(units) if units else 0.0
