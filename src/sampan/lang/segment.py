"""Clusters, words and sentences, without dictionaries.

The cluster (a consonant with everything written around it; an orthographic syllable in Burmese) is the unit for
scripts without spaces: it is found by one regular expression at millions of characters per second, never cuts a vowel
or tone mark off its consonant, and needs no segmenter whose errors differ by language.
"""

from __future__ import annotations

import functools

import regex

from .profile import load_profile

_THAI = r"[เ-ไ]?[ก-ฮ][\u0E31\u0E34-\u0E3A\u0E47-\u0E4E]*[\u0E30\u0E32\u0E33\u0E45]*"
_LAO = r"[\u0EC0-\u0EC4]?[\u0E81-\u0EAE\u0EDC-\u0EDF][\u0EB1\u0EB4-\u0EBC\u0EC8-\u0ECE]*[\u0EB0\u0EB2\u0EB3\u0EBD]*"
# Khmer: a letter, any number of subscripts (coeng + letter), vowels and signs.
_KHMER = r"[\u1780-\u17B3](?:\u17D2[\u1780-\u17B3]|[\u17B4-\u17D1\u17D3\u17DD\u200C\u200D])*"
# Burmese: a letter with stacked letters, medials, vowels and tones, then closing consonants (killed by asat, or the
# head of a stack).
_BURMESE_MARKS = (
    r"(?:\u1039[\u1000-\u1021]|"
    r"[\u102B-\u1038\u103A-\u103E\u1056-\u1059\u105E-\u1060\u1062-\u1064\u1067-\u106D\u1071-\u1074\u1082-\u108D\u108F])*"
)
_BURMESE = (
    rf"[\u1000-\u102A\u103F\u1050-\u1055\u105A-\u105D\u1061\u1065\u1066\u106E-\u1070\u1075-\u1081\u108E]"
    rf"{_BURMESE_MARKS}(?:[\u1000-\u1021](?=\u1037?\u103A|\u1039){_BURMESE_MARKS})*"
)
_SYLLABLE = rf"{_THAI}|{_LAO}|{_KHMER}|{_BURMESE}"
_SPACELESS = r"\u0E00-\u0EFF\u1000-\u109F\uAA60-\uAA7F\u1780-\u17FF\p{Han}\p{Hiragana}\p{Katakana}"

_CLUSTER = regex.compile(rf"{_SYLLABLE}|\X")
# Letters and marks with inner apostrophes and hyphens; ZWJ and ZWNJ stay inside (Tamil and its neighbours).
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}\u200C\u200D]+(?:['’\-‐‑][\p{L}\p{M}\p{N}]+)*")
_UNIT = regex.compile(
    rf"{_SYLLABLE}|[{_SPACELESS}--\P{{L}}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{_SPACELESS}]]+|[\p{{N}}&&[{_SPACELESS}]]+",
    regex.V1,
)


def clusters(text: str) -> list[str]:
    """`text` cut into clusters: Thai, Lao, Khmer and Burmese ones by script, grapheme clusters elsewhere.

    Nothing is lost: `"".join(clusters(text)) == text`.
    """
    return _CLUSTER.findall(text)


def words(text: str, language: str) -> list[str]:
    """The counting units of a language, punctuation and blanks left out.

    For spaced languages these are words (marks kept, inner apostrophes and hyphens too). **For spaceless ones the unit
    is the cluster, for Chinese the character, not the word**; Latin words and numbers inside such text stay whole.
    """
    return (_WORD if load_profile(language).spaced else _UNIT).findall(text)


def sentences(text: str, language: str) -> list[str]:
    """Sentences, trimmed, empty ones left out: cut at line ends and after the language's sentence enders.

    `!` and `?` cut before a blank, and a full stop only before a blank and a capital, digit, quote or unicameral
    letter, so most abbreviations and decimals survive. Thai and Lao seldom mark the end of a sentence (a space does,
    but also much else), so there a sentence is mostly a line.
    """
    return [piece for line in text.split("\n") for part in _ender(language).split(line) if (piece := part.strip())]


@functools.cache
def _ender(language: str) -> regex.Pattern:
    enders = load_profile(language).sentence_enders
    close = r"[\"'”’»」』）)\]]*"
    wide, ascii_marks, stops = (
        "".join(regex.escape(mark) for mark in enders if kind(mark))
        for kind in (lambda m: not m.isascii() and m != "…", lambda m: m in "!?", lambda m: m in ".…")
    )
    cuts = [rf"(?<=[{wide}]{close})(?![{wide}\"'”’»」』）)\]])"] if wide else []
    cuts += [rf"(?<=[{ascii_marks}]{close})\s+"] if ascii_marks else []
    cuts += [rf"(?<=[{stops}]{close})\s+(?=[\"'“‘«(\[]*[\p{{Lu}}\p{{Lo}}\p{{N}}])"] if stops else []
    return regex.compile("|".join(cuts), regex.V1)
