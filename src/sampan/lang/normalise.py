"""One spelling for equal text: right charset, NFC, line ends, invisible characters, order of marks, blanks.

The result is the same when normalised again. Words are never changed: no case folding, no diacritic is dropped. What
belongs to one script is in a module of its own: `mojibake`, `zawgyi`, `marks`, `vietnamese`.
"""

from __future__ import annotations

import difflib
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import regex

from ..core.kept import kept
from . import mojibake
from .kernels import loops
from .marks import order_marks
from .profile import load_profile
from .vietnamese import place_tones
from .zawgyi import repair_zawgyi

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
# No orthography piles up more than a handful of marks; putting a long pile into NFC takes the square of its length.
_PILE = regex.compile(r"([\p{M}\u200C\u200D]{32})[\p{M}\u200C\u200D]+")
_BLANK = regex.compile(r"[\t\u00A0\u1680\u2000-\u200A\u202F\u205F\u3000]")
# Both begin with what is looked for, which is found many times faster, and look at each run of spaces once: a page may
# hold millions.
_INNER_BLANKS = re.compile(r"  (?<=\S  ) *+")
_LINE_TAIL = re.compile(r" (?<!  ) *+$", re.M)
_EMPTY_LINES = regex.compile(r"\n{3,}")


_PLANE = 0x10000
"""Living scripts are below; what is above may need any step."""
(
    _LINE_ENDS,
    _INVISIBLES,
    _BLANKS,
    _JOINERS,
    _BURMESE,
    _ORDERED,
    _MARKS,
    _C1,
    _UTF8_HEAD,
    _UTF8_LATER,
    _THAI,
    _MISREAD,
    _COMPOSED,
    _SPACED,
) = (1 << bit for bit in range(14))
_ANY = (1 << 14) - 1
_WORK = {
    _LINE_ENDS: r"[\r\v\f\x1C-\x1E\x85\u2028\u2029]",
    _INVISIBLES: _INVISIBLE.pattern,
    _BLANKS: _BLANK.pattern,
    _JOINERS: r"[\u200C\u200D]",
    _BURMESE: r"[\u1000-\u109F]",
    _ORDERED: r"[\u0E30-\u0ECE\u102B-\u1049\u17A3-\u17DD]",
    _MARKS: r"[\p{M}\u200C\u200D]",
    _C1: mojibake.C1,
    _UTF8_HEAD: mojibake.UTF8_HEAD,
    _UTF8_LATER: mojibake.UTF8_LATER,
    _THAI: mojibake.THAI,
}
"""Which characters a step can have work with: most text has none of them, which is found faster than by a pattern."""


@kept(mojibake)
def _work_table():
    """uint16[_PLANE]: bits of `_WORK` by code point."""
    import numpy as np

    table = np.zeros(_PLANE, np.uint16)
    plane = "".join(map(chr, range(_PLANE)))
    for bit, pattern in _WORK.items():
        for found in regex.finditer(pattern, plane):
            table[found.start()] |= bit
    table[_composed()] |= _COMPOSED
    table[-1] = _ANY
    return table


def _composed() -> list[int]:
    """Code points that NFC may change, or move, or join with the one before."""
    jamo = {*range(0x1160, 0x1200)}
    pairs = (unicodedata.decomposition(chr(point)).split() for point in range(sys.maxunicode + 1))
    second = {int(pair[1], 16) for pair in pairs if len(pair) == 2 and pair[0][0] != "<"}
    return [
        point
        for point in range(_PLANE)
        if point in jamo
        or point in second
        or unicodedata.combining(chr(point))
        or unicodedata.normalize("NFC", chr(point)) != chr(point)
    ]


def _work_in(text: str) -> int:
    """Bits of the steps that may have work with the text."""
    import numpy as np

    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    if (compiled := loops("work")) is not None:
        return compiled.work_in(points, _work_table(), _C1, _UTF8_HEAD, _UTF8_LATER, _THAI, _MISREAD, _SPACED)
    bits_C = np.take(_work_table(), points, mode="clip")
    work = int(np.bitwise_or.reduce(bits_C)) | _SPACED
    return work | _MISREAD if _may_be_misread(bits_C, work) else work


def _may_be_misread(bits_C, work: int) -> bool:
    """Whether characters stand side by side as in text of a wrong charset."""
    import numpy as np

    if work & _C1:
        return True
    if work & _UTF8_HEAD and work & _UTF8_LATER:
        later = bits_C[1:] & _UTF8_LATER > 0
        if (later & (bits_C[:-1] & _UTF8_HEAD > 0)).any():
            return True
    thai = bits_C & _THAI > 0 if work & _THAI else bits_C[:0]
    starts = len(thai) - mojibake.THAI_RUN + 1
    return starts > 0 and bool(np.logical_and.reduce([thai[k : starts + k] for k in range(mojibake.THAI_RUN)]).any())


_ROUNDS = 16
"""Repairs uncover work for each other (a joiner between two marks, then their order). Real text needs one round and a
second that finds nothing left; random strings were seen to need five."""


@dataclass(frozen=True)
class Change:
    """One kind of repair and how often it was made."""

    reason: str
    """`mojibake`, `line_end`, `invisible`, `mark_pile`, `nfc`, `joiner`, `zawgyi`, `mark_order`, `tone_placement` or
    `blank`."""
    before: str
    after: str
    count: int


def normalise(text: str, language: str = "", *, tone_placement: str = "") -> str:
    """`text` in one spelling; see the module for what is changed and why. Idempotent.

    `language` (a profile's code) is only a hint that saves wrong guesses; '' is always right. `tone_placement` is
    `keep`, or `old` or `new` for `hòa` or `hoà`; '' is what the language's profile says (none: `keep`). Indentation at
    the start of a line stays (code in documents needs it); other runs of blanks become one space, runs of empty lines
    one empty line.
    """
    steps, work = _steps(language, tone_placement), _work_in(text)
    for _ in range(_ROUNDS):
        before = text
        for _, wanted, step in steps:
            if wanted is None or wanted & work:
                after = step(text)
                if after != text:
                    text, work = after, _work_in(after)
        if text == before:
            break
    return text


def changes(text: str, language: str = "", *, tone_placement: str = "") -> list[Change]:
    """What `normalise` with the same arguments does to `text`, for a person to read: most frequent first."""
    found: Counter[tuple[str, str, str]] = Counter()
    steps = _steps(language, tone_placement)
    for _ in range(_ROUNDS):
        start = text
        for reason, _, step in steps:
            before, text = text, step(text)
            if text != before:
                found.update((reason, *pair) for pair in _pairs(before, text))
        if text == start:
            break
    return [Change(*key, count) for key, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))]


def _steps(language: str, tone_placement: str) -> tuple[tuple[str, int | None, Callable[[str], str]], ...]:
    """(reason, bit of `_WORK` without which there is nothing to do or None, step), in order."""
    steps: list[tuple[str, int | None, Callable[[str], str]]] = [
        ("mojibake", _MISREAD, lambda text: mojibake.repair_mojibake(text, language)),
        ("line_end", _LINE_ENDS, lambda text: _LINE_END.sub("\n", text)),
        ("invisible", _INVISIBLES, lambda text: _INVISIBLE.sub("", text)),
        ("blank", _BLANKS, lambda text: _BLANK.sub(" ", text.replace("\t", "    "))),
        ("mark_pile", _MARKS, lambda text: _PILE.sub("\\1", text)),
        ("nfc", _COMPOSED, lambda text: unicodedata.normalize("NFC", text)),
        ("joiner", _JOINERS, _joiners),
        ("zawgyi", _BURMESE, repair_zawgyi),
        ("mark_order", _ORDERED, order_marks),
        ("blank", _SPACED, _blanks),
    ]
    style = tone_placement or (load_profile(language).tone_placement if language == "vie_Latn" else "keep")
    if style != "keep":
        steps.insert(-1, ("tone_placement", None, lambda text: place_tones(text, style)))
    return tuple(steps)


def _blanks(text: str) -> str:
    if "  " in text:
        text = _INNER_BLANKS.sub(" ", text)
    if " \n" in text or text.endswith(" "):
        text = _LINE_TAIL.sub("", text)
    if "\n\n\n" in text:
        text = _EMPTY_LINES.sub("\n\n", text)
    return text.strip()


def _joiners(text: str) -> str:
    """NFC text without joiners that mean nothing, repeated: marks that a joiner kept apart may change order."""
    before = ""
    while text != before and ("\u200c" in text or "\u200d" in text):
        before = text
        text = _JOINER_END.sub("", _JOINER_RUN.sub("\\1", _JOINER.sub("", text)))
        text = unicodedata.normalize("NFC", text)
    return text


_MAX_COMPARED = 25_000_000
"""Pieces of one line before times after; a longer line is compared as two bags of pieces, which are then not paired."""
_PIECE = regex.compile(r"\s|[^\s]{1,24}?(?=\s|\p{P}|$)|[^\s]{1,24}")


def _pairs(before: str, after: str) -> Iterator[tuple[str, str]]:
    """Differing pieces, words or parts of them, line by line where the lines still match."""
    old, new = before.split("\n"), after.split("\n")
    if len(old) != len(new):
        old, new = [before], [after]
    for left, right in zip(old, new, strict=True):
        if left == right:
            continue
        a, b = _PIECE.findall(left), _PIECE.findall(right)
        if len(a) * len(b) > _MAX_COMPARED:
            yield from ((piece, "") for piece in (Counter(a) - Counter(b)).elements())
            yield from (("", piece) for piece in (Counter(b) - Counter(a)).elements())
            continue
        for tag, i, j, k, l in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
            if tag != "equal":
                yield "".join(a[i:j]), "".join(b[k:l])
