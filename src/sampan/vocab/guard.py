"""What a new piece may look like, so that text in other scripts is provably cut as before.

A new piece is only ever built in text that contains it. If every new piece holds a character that protected text does
not have (or the beginning of such a character's bytes and of no other's), then protected text keeps its ids.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import regex

_LATIN_BASE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_COMMON_SHARE = 1e-4
# Signs of no script of their own (joiners, zero-width blanks, marks, punctuation, currency) that a language may need.
_SIGN = regex.compile(r"[[\p{sc=Zyyy}\p{sc=Zinh}]&&[\p{Cf}\p{M}\p{P}\p{Sc}]--[\x00-\x7F]]", regex.V1)
_HARMLESS = regex.compile(r"[\p{Cn}\p{N}\p{sc=Zyyy}\p{sc=Zinh}]")


@functools.cache
def run_pattern(script: str) -> regex.Pattern:
    """Runs of one script's letters and marks (digits left out), with the one blank before them."""
    own = rf"[\p{{sc={script}}}--\p{{N}}]"
    return regex.compile(rf" ?{own}(?:{own}|[\p{{sc=Zinh}}--\p{{N}}])*", regex.V1)


@functools.cache
def _own(script: str) -> regex.Pattern:
    return regex.compile(rf"[\p{{sc={script}}}--\p{{N}}]", regex.V1)


@functools.cache
def _digit(script: str) -> regex.Pattern:
    return regex.compile(rf"[\p{{sc={script}}}&&\p{{Nd}}]", regex.V1)


def alphabet(texts: Iterable[str], script: str) -> frozenset[str]:
    """The characters of `script` that protected texts are written in: those above one in ten thousand of its letters
    (ours, not a paper's), so that a few foreign names do not count; a to z always, for Latin."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    own = {char: number for char, number in counts.items() if _own(script).match(char)}
    total = sum(own.values())
    common = {char for char, number in own.items() if number > _COMMON_SHARE * total}
    return frozenset(common | (_LATIN_BASE if script == "Latn" else set()))


@dataclass(frozen=True)
class Guard:
    """The test for one script. `protected`: characters that do not mark a piece as new script. `free`: no test at all,
    for callers that compare ids instead."""

    script: str
    protected: frozenset[str] = frozenset()
    free: bool = False

    def marks(self, char: str) -> bool:
        """Whether protected text cannot contain `char`."""
        return char not in self.protected and _own(self.script).match(char) is not None

    def allows(self, raw: bytes) -> bool:
        """Whether a piece of these UTF-8 bytes (possibly cut inside a character) may be added."""
        if self.free:
            return True
        return any(map(self.marks, raw.decode("utf-8", "ignore"))) or self._only_ours(raw.removeprefix(b" "))

    def _only_ours(self, raw: bytes) -> bool:
        """Whether `raw` is the beginning of one character, and every character that begins so marks or is a digit or
        sign among them (such as ฿ among the Thai letters)."""
        length = _length(raw[0]) if raw else 0
        if len(raw) < 2 or len(raw) >= length:
            return False
        return self._window(raw, length)

    @functools.lru_cache(maxsize=4096)  # noqa: B019  (guards live as long as the stage)
    def _window(self, raw: bytes, length: int) -> bool:
        missing = length - len(raw)
        try:
            first = ord((raw + b"\x80" * missing).decode("utf-8"))
        except UnicodeDecodeError:
            return False
        chars = [chr(point) for point in range(first, first + 64**missing)]
        others = [char for char in chars if not self.marks(char) and not _HARMLESS.match(char)]
        return not others and any(map(self.marks, chars))


def is_sign(char: str, script: str) -> bool:
    """Whether `char` may be admitted as a piece of its own though no run has it: a sign that scripts share, or a digit
    of `script` (runs have none, so that numbers are never merged)."""
    return _SIGN.match(char) is not None or _digit(script).match(char) is not None


def _length(lead: int) -> int:
    """Bytes of the UTF-8 character that begins with `lead`, 0 for a continuation byte or ASCII."""
    return 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC2 else 0
