"""Words, cut by libraries that know the language, for fertility and evaluation.

Nothing here decides what a corpus keeps: dictionary and CRF segmenters are 10 to 100 times slower than clusters, and
answer differently with every version. Each profile names its segmenters, best first, and the first that is installed
works (`pip install "sampan[segment]"`). Where none is, words are clusters, and `segmenter_used` says so.

All are permissively licensed and read plain models: budoux (JSON, Apache-2.0), khmercut (a crfsuite file, Apache-2.0),
laonlp and pythainlp (word lists, Apache-2.0), jieba (a word list, MIT), ICU (MIT). None is unpickled.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import regex

from ..core.errors import RecipeError, did_you_mean
from .profile import load_profile, per_profiles
from .segment import clusters

Segmenter = Callable[[str], list[str]]

_RUNS = {
    "Thai": r"\u0E00-\u0E7F",
    "Laoo": r"\u0E80-\u0EFF",
    "Khmr": r"\u1780-\u17FF",
    "Mymr": r"\u1000-\u109F\uAA60-\uAA7F\uA9E0-\uA9FF",
    "Hans": r"\p{Han}",
}
_WORD = r"[\p{L}\p{M}\p{N}\u200C\u200D]+(?:['’\-‐‑][\p{L}\p{M}\p{N}]+)*"
_MAX_RUN = 2000
"""Clusters given to a segmenter at once: keeps memory and the cost of a missing blank bounded."""


@dataclass(frozen=True)
class SegmenterUse:
    """Which segmenter cuts a language here."""

    language: str
    name: str
    """A name of SEGMENTERS, `spaces` or `clusters`."""
    note: str = ""
    """Why it is not the one that the profile wants first."""


def word_segment(text: str, language: str) -> list[str]:
    """All of `text` in pieces: words, and what stands between them. `"".join(word_segment(text, l)) == text`.

    Language is a profile's code. A run that a segmenter would alter or fail on is cut into clusters instead.
    """
    pieces: list[str] = []
    segment = _segmenter(language)[1]
    for match in _pattern(language).finditer(text):
        piece = match[0]
        if segment and match.lastgroup == "own":
            for run in _cut(piece):
                words = segment(run)
                pieces += words if "".join(words) == run else clusters(run)
        else:
            pieces.append(piece)
    return [piece for piece in pieces if piece]


def segmenter_used(language: str) -> SegmenterUse:
    """The segmenter that `word_segment` uses for `language` on this machine."""
    return _segmenter(language)[0]


def _cut(run: str) -> list[str]:
    if len(run) <= _MAX_RUN:
        return [run]
    parts = clusters(run)
    return ["".join(parts[start : start + _MAX_RUN]) for start in range(0, len(parts), _MAX_RUN)]


@per_profiles
def _pattern(language: str) -> regex.Pattern:
    profile = load_profile(language)
    if profile.spaced:
        return regex.compile(rf"{_WORD}|\s+|[^\p{{L}}\p{{M}}\p{{N}}\s]|.", regex.S)
    own = _RUNS[profile.script]
    other = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{own}]]+"
    return regex.compile(rf"(?P<own>[{own}]+)|{other}|\s+|.", regex.S | regex.V1)


@per_profiles
def _segmenter(language: str) -> tuple[SegmenterUse, Segmenter | None]:
    profile = load_profile(language)
    if profile.spaced:
        return SegmenterUse(language, "spaces"), None
    missing: list[str] = []
    for name in profile.segmenters:
        if name not in SEGMENTERS:
            raise RecipeError(f"there is no segmenter '{name}'", where=language, how=did_you_mean(name, SEGMENTERS))
        try:
            segmenter = SEGMENTERS[name](language)
        except ImportError:
            missing.append(name)
            continue
        note = f"{', '.join(missing)} not installed" if missing else ""
        return SegmenterUse(language, name, note), segmenter
    note = f"{', '.join(missing)} not installed" if missing else "the profile names no segmenter"
    return SegmenterUse(language, "clusters", f"{note}: words are clusters"), clusters


def _budoux(language: str) -> Segmenter:
    import budoux

    load = {"tha_Thai": budoux.load_default_thai_parser, "zho_Hans": budoux.load_default_simplified_chinese_parser}
    return load[language]().parse


def _pythainlp(language: str) -> Segmenter:
    from pythainlp.tokenize import newmm

    return newmm.segment


def _khmercut(language: str) -> Segmenter:
    import khmercut

    khmercut.load()
    return khmercut.tokenize


def _laonlp(language: str) -> Segmenter:
    from laonlp.tokenize import word_tokenize

    return word_tokenize


def _jieba(language: str) -> Segmenter:
    import logging
    import tempfile

    import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    # It keeps a cache under a fixed name in the shared temporary folder and believes whatever lies there: give it an
    # empty folder of its own.
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.tmp_dir = folder
        tokenizer.initialize()
    return tokenizer.lcut


def _icu(language: str) -> Segmenter:
    import icu

    locale = icu.Locale(load_profile(language).alpha2)

    def segment(text: str) -> list[str]:
        # ICU counts in UTF-16, as its own strings do.
        string = icu.UnicodeString(text)
        breaks = icu.BreakIterator.createWordInstance(locale)
        breaks.setText(string)
        ends = [0, *breaks]
        return [str(string[start:end]) for start, end in itertools.pairwise(ends)]

    return segment


SEGMENTERS: dict[str, Callable[[str], Segmenter]] = {
    "budoux": _budoux,
    "icu": _icu,
    "jieba": _jieba,
    "khmercut": _khmercut,
    "laonlp": _laonlp,
    "pythainlp": _pythainlp,
}
"""Name -> what makes the segmenter of a language; raises ImportError where its library is missing."""
