"""A document as the filters see it: its text, its language, and arrays that several of them need, computed once.

Everything is counted on code points and counting units (`lang.units`) in numpy, never in a loop over characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..lang.profile import Profile
from ..lang.thresholds import Thresholds
from ..lang.units import Points, Units, character_table, codepoints, units
from .characters import BLANK, kinds
from .kernels import loops
from .phrases import Phrases

CLUSTERS_PER_WORD = 3
"""About how many clusters make a word of a script without spaces: n-grams over clusters are so much longer."""


@dataclass(frozen=True)
class Lines:
    """Lines (or paragraphs) without surrounding blanks, empty ones left out, as spans of the text."""

    starts_L: np.ndarray
    ends_L: np.ndarray
    hashes_L: np.ndarray

    def __len__(self) -> int:
        return len(self.starts_L)

    @property
    def lengths_L(self) -> np.ndarray:
        return self.ends_L - self.starts_L


@dataclass(frozen=True)
class TextView:
    """Normalised text of a document in the language of `profile`, to be judged by `limits`."""

    text: str
    profile: Profile
    limits: Thresholds
    harmful_words: Phrases | None = None
    """The language's list of words for the filter `harmful`."""

    @cached_property
    def units(self) -> Units:
        """Words; clusters in scripts without spaces."""
        return self._points.units(self.profile.spaced)

    @cached_property
    def lower(self) -> str:
        """The text in lower case; a few letters become two."""
        return self.text.lower()

    @cached_property
    def folded(self) -> Units:
        """`units` of the text in lower case."""
        if self.lower == self.text:
            return self.units
        if len(self.lower) == len(self.text):  # then every unit is at its place
            return Points(codepoints(self.lower)).at(self.units.starts_U, self.units.ends_U)
        return units(self.lower, self.profile.spaced)

    @cached_property
    def memo(self) -> dict:
        """What statistics of one filter share with each other, by keys of its own."""
        return {}

    @property
    def word_units(self) -> int:
        """Units that make about one word: 1 or CLUSTERS_PER_WORD."""
        return 1 if self.profile.spaced else CLUSTERS_PER_WORD

    @cached_property
    def _points(self) -> Points:
        return Points(codepoints(self.text))

    @property
    def codepoints_C(self) -> np.ndarray:
        return self._points.codepoints_C

    @cached_property
    def kinds_C(self) -> np.ndarray:
        """Kind bits of each character (see `characters`)."""
        return np.take(kinds(), self.codepoints_C, mode="clip")

    def count(self, kind: int) -> int:
        """Characters of a kind."""
        return int(np.count_nonzero(self.kinds_C & kind))

    @cached_property
    def characters(self) -> int:
        """Characters that are not blanks."""
        return len(self.text) - self.count(BLANK)

    def share(self, number: int) -> float:
        """`number` as a share of the characters, 0 for an empty text."""
        return number / self.characters if self.characters else 0.0

    @cached_property
    def _breaks(self) -> np.ndarray:
        return np.flatnonzero(self.codepoints_C == 10)

    @cached_property
    def lines(self) -> Lines:
        if (compiled := loops("counts")) is not None:
            return Lines(*compiled.lines(self.codepoints_C, self.kinds_C, BLANK, character_table()))
        return self._spans(np.append(0, self._breaks + 1), np.append(self._breaks, len(self.text)))

    @cached_property
    def paragraphs(self) -> Lines:
        """Runs of lines set apart by empty ones."""
        lines = self.lines
        if not len(lines):
            return lines
        if (compiled := loops("counts")) is not None:
            return Lines(*compiled.paragraphs(self.codepoints_C, lines.starts_L, lines.ends_L, character_table()))
        number = np.searchsorted(self._breaks, lines.starts_L)
        first = np.append(True, np.diff(number) > 1)
        starts, ends = lines.starts_L[first], lines.ends_L[np.append(first[1:], True)]
        return Lines(starts, ends, self._points.hashes(starts, ends))

    def _spans(self, starts: np.ndarray, ends: np.ndarray) -> Lines:
        written = np.flatnonzero(self.kinds_C & BLANK == 0)
        first, last = np.searchsorted(written, starts), np.searchsorted(written, ends)
        kept = first < last
        starts_L, ends_L = written[first[kept]], written[last[kept] - 1] + 1
        return Lines(starts_L, ends_L, self._points.hashes(starts_L, ends_L))

    @cached_property
    def units_by_line(self) -> np.ndarray:
        """Units in each line [L]."""
        return np.searchsorted(self.units.starts_U, self.lines.ends_L) - np.searchsorted(
            self.units.starts_U, self.lines.starts_L
        )

    def count_by_line(self, kind: int) -> np.ndarray:
        """Characters of a kind in each line [L]."""
        if (compiled := loops("counts")) is not None:
            return compiled.count_by_span(self.kinds_C, kind, self.lines.starts_L, self.lines.ends_L)
        sums = np.append(0, np.cumsum(self.kinds_C & kind > 0))
        return sums[self.lines.ends_L] - sums[self.lines.starts_L]

    def units_with(self, kind: int) -> int:
        """Units with a character of a kind in them."""
        if (compiled := loops("counts")) is not None:
            return compiled.spans_with(self.kinds_C, kind, self.units.starts_U, self.units.ends_U)
        sums = np.append(0, np.cumsum(self.kinds_C & kind > 0))
        return int(np.count_nonzero(sums[self.units.ends_U] > sums[self.units.starts_U]))
