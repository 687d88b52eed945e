"""One spelling for equal text: NFC, line ends, invisible characters, mark order of Thai and Lao, blanks.

The result is the same when normalised again. Words are never changed: no case folding, no diacritic is dropped.
"""

from __future__ import annotations

import unicodedata

import regex

_LINE_END = regex.compile(r"\r\n|[\r\v\f\x1C-\x1E\x85\u2028\u2029]")
# Controls, soft hyphen, direction marks, word joiner and other invisible signs, byte-order marks, noncharacters, lone
# surrogates. ZWSP too: it only marks where a line may break, a habit of some Thai, Lao, Khmer and Burmese web pages
# and not of others, so keeping it would split equal words into two spellings.
_INVISIBLE = regex.compile(
    r"[\x00-\x08\x0E-\x1B\x1F\x7F-\x84\x86-\x9F\u00AD\u061C\u180E\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF"
    r"\uFFF9-\uFFFB\uFDD0-\uFDEF\uFFFE\uFFFF\uD800-\uDFFF]"
)
# ZWNJ and ZWJ carry meaning after an Indic virama (they choose a half form or forbid a ligature: Tamil, Malayalam,
# Sinhala …), after an Arabic letter (Persian, Jawi) and inside an emoji sequence. In Thai, Lao, Khmer, Burmese, Latin
# and Han text they are typing accidents or touch only the glyph (Khmer register shifters), and go.
_JOINER = regex.compile(
    r"(?<![\u094D\u09CD\u0A4D\u0ACD\u0B4D\u0BCD\u0C4D\u0CCD\u0D4D\u0DCA\p{Arabic}\p{Extended_Pictographic}\uFE0F\p{EMod}])"
    r"[\u200C\u200D]+"
)
_JOINER_RUN = regex.compile(r"([\u200C\u200D])[\u200C\u200D]+")
_JOINER_END = regex.compile(r"[\u200C\u200D]+(?=\s|$)", regex.M)
_BLANK = regex.compile(r"[\t\u00A0\u1680\u2000-\u200A\u202F\u205F\u3000]")
_INDENT = regex.compile(r"(?<=\S) {2,}")
_LINE_TAIL = regex.compile(r" +$", regex.M)
_EMPTY_LINES = regex.compile(r"\n{3,}")

_MARKS = (
    # A doubled sara e, the common way to type sara ae.
    (regex.compile("เเ"), "แ"),
    (regex.compile("ເເ"), "ແ"),
    # nikhahit (+ tone) + sara aa is sara am (tone before it); also a tone typed after sara am.
    (regex.compile("\u0e4d([\u0e48-\u0e4b]*)\u0e32"), "\\1\u0e33"),
    (regex.compile("(\u0e33+)([\u0e48-\u0e4b]+)"), "\\2\\1"),
    (regex.compile("\u0ecd([\u0ec8-\u0ecb]*)\u0eb2"), "\\1\u0eb3"),
    (regex.compile("(\u0eb3+)([\u0ec8-\u0ecb]+)"), "\\2\\1"),
)


def normalise(text: str) -> str:
    """`text` in one spelling; see the module for what is changed and why. Idempotent.

    Indentation at the start of a line stays (code in documents needs it); other runs of blanks become one space, runs
    of empty lines one empty line.
    """
    text = _LINE_END.sub("\n", text)
    text = _INVISIBLE.sub("", text)
    text = _BLANK.sub(" ", text.replace("\t", "    "))
    text = _joiners(unicodedata.normalize("NFC", text))
    if any("\u0e00" <= char <= "\u0eff" for char in set(text)):
        text = _marks(text)
    text = _INDENT.sub(" ", text)
    text = _LINE_TAIL.sub("", text)
    return _EMPTY_LINES.sub("\n\n", text).strip()


def _marks(text: str) -> str:
    """Thai and Lao marks in one order, repeated until nothing moves (tones only ever move left)."""
    before = ""
    while text != before:
        before = text
        for pattern, spelling in _MARKS:
            text = pattern.sub(spelling, text)
        text = unicodedata.normalize("NFC", text)
    return text


def _joiners(text: str) -> str:
    """NFC text without joiners that mean nothing, repeated: marks that a joiner kept apart may change order."""
    before = ""
    while text != before and ("\u200c" in text or "\u200d" in text):
        before = text
        text = _JOINER_END.sub("", _JOINER_RUN.sub("\\1", _JOINER.sub("", text)))
        text = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", text)
