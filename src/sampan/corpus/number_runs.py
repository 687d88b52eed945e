"""Long runs of digits in a text, and the matches of a pattern around them: most text has few, and patterns are dear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import regex

DIGITS = 7
"""Digits of the shortest run."""
# Up to two signs between digits, as people group them. Possessive: a run goes as far as it can.
_RUN = regex.compile(rf"\d(?:[ .\-()/\u00A0‐‑–]{{0,2}}\d){{{DIGITS - 1},}}+")
_AFTER = 4


def number_runs(text: str) -> list[tuple[int, int]]:
    """(start, end) of every run of at least DIGITS digits, in order."""
    return [match.span() for match in _RUN.finditer(text)]


def matches_near(
    pattern: regex.Pattern, text: str, runs: Sequence[tuple[int, int]], before: int
) -> Iterator[regex.Match]:
    """What `pattern.finditer(text)` gives, for a pattern each match of which has its digits in one run: it begins at
    most `before` characters before that run, and ends and looks at most four characters beyond."""
    place = 0
    for start, end in runs:
        for match in pattern.finditer(text, max(place, start - before), end + _AFTER):
            place = match.end()
            yield match
