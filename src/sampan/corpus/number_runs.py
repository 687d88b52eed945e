"""Long runs of digits in a text, and the matches of a pattern around them: most text has few, and patterns are dear."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import regex

from ..lang.units import codepoints
from .characters import DIGIT, kinds
from .kernels import loops

DIGITS, MIN_DIGITS = 7, 6
"""Digits of the shortest run, and the least that may be asked for."""
_GAPS = " .-()/\u00a0‐‑–"
"""Of these up to two stand between digits, as people group them."""
_AFTER = 4


@functools.lru_cache(maxsize=2)
def number_runs(text: str, least: int = DIGITS) -> tuple[tuple[int, int], ...]:
    """(start, end) of every run of at least `least` digits, in order. Several questions are asked of each text."""
    if loops("counts") is not None:
        return tuple((start, end) for start, end, digits in _chains(text)[0] if digits >= least)
    return tuple(match.span() for match in _run(least).finditer(text))


def has_other_digits(text: str) -> bool:
    """Whether some of the decimal digits may be none of 0-9."""
    return not text.isascii() and (loops("counts") is None or _chains(text)[1])


@functools.lru_cache(maxsize=1)
def _chains(text: str) -> tuple[list[tuple[int, int, int]], bool]:
    """(start, end, digits) of every longest run of MIN_DIGITS or more, and `has_other_digits`, by compiled loops."""
    compiled: Any = loops("counts")
    *chains, other = compiled.digit_chains(codepoints(text), kinds(), DIGIT, _gap_points(), MIN_DIGITS)
    return list(zip(*(each.tolist() for each in chains), strict=True)), bool(other)


@functools.cache
def _run(least: int) -> regex.Pattern:
    """Possessive: a run goes as far as it can."""
    return regex.compile(rf"\d(?:[{regex.escape(_GAPS)}]{{0,2}}\d){{{least - 1},}}+")


@functools.cache
def _gap_points() -> np.ndarray:
    return np.array(sorted(map(ord, _GAPS)), np.uint32)


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
