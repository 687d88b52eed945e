"""A document as the filters see it: its text, its language and counts that several of them need, computed once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from ..lang.profile import Profile, Thresholds
from ..lang.segment import words


@dataclass(frozen=True)
class TextView:
    """Normalised text of a document in the language of `profile`, to be judged by `limits`."""

    text: str
    profile: Profile
    limits: Thresholds

    @cached_property
    def characters(self) -> int:
        """Characters that are not blanks."""
        return sum(self.counts.values())

    @cached_property
    def counts(self) -> Counter[str]:
        """Characters by number of times they occur, blanks left out."""
        counts = Counter(self.text)
        for char in [char for char in counts if char.isspace()]:
            del counts[char]
        return counts

    @cached_property
    def lines(self) -> list[str]:
        """Lines without surrounding blanks, empty ones left out."""
        return [line for raw in self.text.split("\n") if (line := raw.strip())]

    @cached_property
    def units(self) -> list[str]:
        """Words; clusters in scripts without spaces (see `lang.segment.words`)."""
        return words(self.text, self.profile.code)

    def share(self, number: int) -> float:
        """`number` as a share of the characters, 0 for an empty text."""
        return number / self.characters if self.characters else 0.0
