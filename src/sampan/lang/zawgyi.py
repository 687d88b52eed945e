"""Burmese typed for the Zawgyi font: same code points, other meaning. Found by lines, and turned into Unicode.

Zawgyi stores what the eye sees from left to right (the vowel E and medial RA before their consonant) and spends code
points on shapes: three sizes of a mark, a stacked letter, two marks drawn together. Unicode stores what is read and
leaves shapes to the font. The rules are written from the code charts of the two encodings and Unicode Technical
Note 11 ("Representing Myanmar in Unicode", Hosken).

Detection counts signs that one encoding forbids and the other needs. Mon, Shan and Karen letters live at the code
points of Zawgyi's shapes, so those count only beside something that no Unicode language writes.
"""

from __future__ import annotations

import re

from .marks import order_marks

_LETTER = "[\u1000-\u1021]"
# Killers that kill nothing (a virama that stacks nothing, the mark of every closed Zawgyi syllable), and E, or medial
# RA, where a word begins: Unicode writes both after their letter.
_ZAWGYI = re.compile(
    "\u1039(?![\u1000-\u1021\u1025\u1027\u105a-\u105d\u106e-\u1070\u1075-\u1081])"
    "|(?<![\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff])(?:\u1031[\u1000-\u1021\u103b\u107e-\u1084]|\u103b[\u1000-\u1021])"
    "|[\u102b-\u102e\u1030\u1032\u1036-\u1038\u104a\u104b]\u1031[\u1000-\u1021\u103b\u107e-\u1084]"
    "|\u1031[\u107e-\u1081]|[\u102d-\u1030\u1032][\u1094\u1095]"
    "|\u103a[\u102c-\u1030\u103c\u103d]|[\u1037\u1094\u1095]\u1039"
)
# E that no letter follows, asat under a tone mark or after AA, medials that vowels follow, and medial HA, a code point
# that Zawgyi leaves empty. In Zawgyi text none of them occurs but by accident.
_UNICODE = re.compile(
    "[\u1000-\u1021\u103b-\u103e\u1075-\u1082]\u1031(?![\u1000-\u1021\u1025\u1029\u103b\u103f\u1040\u1044\u1047\u106a"
    "\u106b\u106e\u106f\u107e-\u1084\u108f-\u1092\u1097])"
    "|\u103a[\u1037\u1038]|\u1037\u103a|[\u102b\u102c]\u103a|\u103e|\u103b[\u102b-\u1038]|\u103c[\u1030\u102d-\u102f]"
)
_BURMESE = re.compile("[\u1000-\u109f]")
_SUSPECT = re.compile(
    "\u1039(?![\u1000-\u1021])|(?:^|[^\u1000-\u1021\u103a-\u103f\u1050-\u109f])\u1031|[\u105a-\u1097]"
)

_KINZI = "\ue000"  # private use: stands for 1004 103A 1039 until its letter is known; never leaves this module
_STACKED = {
    **dict(zip(range(0x1060, 0x1064), "ကခဂဃ", strict=True)),
    **dict(zip(range(0x1065, 0x106A), "စဆဆဇဈ", strict=True)),
    **dict(zip((0x106C, 0x106D, *range(0x1070, 0x107D)), "ဋဌဏတတထထဒဓနပဖဗဘမ", strict=True)),
    0x1085: "လ",
    0x1093: "ဘ",
}
_SHAPES = str.maketrans(
    {
        _KINZI: None,
        **{point: "\u1039" + letter for point, letter in _STACKED.items()},
        **dict.fromkeys([0x103B, *range(0x107E, 0x1085)], "\u103c"),
        **dict.fromkeys([0x103A, 0x107D], "\u103b"),
        **dict.fromkeys([0x1094, 0x1095], "\u1037"),
        "\u1033": "\u102f",
        "\u1034": "\u1030",
        "\u1039": "\u103a",
        "\u103c": "\u103d",
        "\u103d": "\u103e",
        "\u1087": "\u103e",
        "\u105a": "\u102b\u103a",
        "\u1064": _KINZI,
        "\u106a": "ဉ",
        "\u106b": "ည",
        "\u106e": "ဍ္ဍ",
        "\u106f": "ဍ္ဎ",
        "\u1086": "ဿ",
        "\u1088": "\u103e\u102f",
        "\u1089": "\u103e\u1030",
        "\u108a": "\u103d\u103e",
        "\u108b": _KINZI + "\u102d",
        "\u108c": _KINZI + "\u102e",
        "\u108d": _KINZI + "\u1036",
        "\u108e": "\u102d\u1036",
        "\u108f": "န",
        "\u1090": "ရ",
        "\u1091": "ဏ္ဍ",
        "\u1092": "ဋ္ဌ",
        "\u1096": "\u1039တ\u103d",
        "\u1097": "ဋ္ဋ",
    }
)
# What stands before its letter to the eye, the letter, and what hangs on it. Digits 0, 4 and 7 are drawn like letters.
_SYLLABLE = re.compile(
    f"([\u1031\u103c]*)([\u1000-\u102a\u103f-\u1049\u104e\u25cc])((?:\u1039{_LETTER}|[\u102b-\u1030\u1032-\u1038\u103a\u103b"
    f"\u103d\u103e{_KINZI}])*)"
)
_STACKS = re.compile(f"\u1039{_LETTER}")
_LETTER_FORMS = (
    # Digits written for letters of the same shape.
    (re.compile("\u1044(?=\u1004\u103a\u1038)"), "\u104e"),
    (re.compile("\u104e(?!\u1004\u103a\u1038)"), "\u104e\u1004\u103a\u1038"),
    (re.compile("(?<![\u1040-\u1049.,])\u1040(?=[\u1000-\u1021])"), "\u101d"),
    (re.compile("(?<=[\u1000-\u103f])\u1040(?![\u1040-\u1049.,])"), "\u101d"),
    # The letter U before a killer or a stack is the letter NNYA; with II it is the letter UU.
    (re.compile("\u1025(?=\u1039|\u102c)"), "\u1009"),
    (re.compile("\u1025\u102e"), "\u1026"),
)


def _signs(text: str) -> tuple[int, int]:
    """Signs for Zawgyi and for Unicode."""
    return len(_ZAWGYI.findall(text)), len(_UNICODE.findall(text))


def zawgyi_share(text: str) -> float:
    """Share of telling signs in `text` that speak for Zawgyi, 0..1; 0 if there is none."""
    against, favour = _signs(text)
    return against / (against + favour) if against + favour else 0.0


def is_zawgyi(text: str) -> bool:
    """Whether more signs in `text` speak for Zawgyi than for Unicode."""
    against, favour = _signs(text)
    return against > favour


def zawgyi_to_unicode(text: str) -> str:
    """Zawgyi `text` (it must be: ask `is_zawgyi` first) as Unicode Burmese, marks in canonical order."""
    text = _SYLLABLE.sub(_reorder, text.translate(_SHAPES))
    for pattern, spelling in _LETTER_FORMS:
        text = pattern.sub(spelling, text)
    # A kinzi that hangs on nothing has no place in Unicode.
    return order_marks(text.replace(_KINZI, ""))


def _reorder(match: re.Match[str]) -> str:
    """A syllable from the order of the eye to that of reading: kinzi, letter, stack, medials, E, other marks."""
    before, letter, marks = match.groups()
    kinzi = "\u1004\u103a\u1039" if _KINZI in marks else ""
    stacks = "".join(_STACKS.findall(marks))
    rest = _STACKS.sub("", marks).replace(_KINZI, "")
    if "\u103b\u102c\u103a" in rest and "\u1031" not in before:
        # No word ends in -ya-aa-asat; the killer belongs to the letter ("man", yauk-kya:).
        rest = rest.replace("\u103b\u102c\u103a", "\u103a\u103b\u102c")
    medials = "".join(mark for mark in rest if mark in "\u103d\u103e")
    rest = "".join(mark for mark in rest if mark not in "\u103d\u103e")
    ya = rest.startswith("\u103b")
    return (
        kinzi
        + letter
        + stacks
        + rest[:ya]
        + "\u103c" * ("\u103c" in before)
        + medials
        + "\u1031" * ("\u1031" in before)
        + rest[ya:]
    )


def repair_zawgyi(text: str) -> str:
    """`text` with its Zawgyi lines converted; Unicode lines are never touched.

    A line without telling signs (a number, a word or two) follows the rest of the text. A line that would still look
    like Zawgyi after conversion is something else and stays.
    """
    if not _BURMESE.search(text) or not _SUSPECT.search(text):
        return text
    lines = text.split("\n")
    balances = [_balance(line) for line in lines]
    if not any(balance > 0 for balance in balances):
        return text
    whole = sum(len(line) if b > 0 else -len(line) for line, b in zip(lines, balances, strict=True) if b) > 0
    return "\n".join(
        _converted(line) if balance > 0 or (balance == 0 and whole) else line
        for line, balance in zip(lines, balances, strict=True)
    )


def _balance(line: str) -> int:
    against, favour = _signs(line)
    return against - favour


def _converted(line: str) -> str:
    if not _BURMESE.search(line):
        return line
    new = zawgyi_to_unicode(line)
    return line if is_zawgyi(new) else new
