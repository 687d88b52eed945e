"""Other languages of a script that our profiles use alone, told by letters that the profile's language does not need.

A script by itself would call Shan Burmese and Khmu Lao. The letters are those that the Unicode charts list for the
other language; the shares are ours, well above what quotations reach.
"""

from __future__ import annotations

from dataclasses import dataclass


def _span(first: int, last: int) -> frozenset[str]:
    return frozenset(map(chr, range(first, last + 1)))


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A language, or a group of them, that shares a script with a profile."""

    label: str
    """ISO 639-3 of the language, or the name of the group."""
    letters: frozenset[str]
    min_share: float
    """Least share of the script's letters that makes a text this language's."""


_ZAWGYI_ASAT, _ASAT = "\u1039", "\u103a"
NEIGHBOURS: dict[str, tuple[Neighbour, ...]] = {
    "Mymr": (
        Neighbour("shn", _span(0x1075, 0x108D) | _span(0x1090, 0x1099), 0.05),
        Neighbour("ksw", _span(0x1061, 0x1064), 0.03),
        Neighbour("kyu", frozenset("\u1071") | _span(0x1072, 0x1074), 0.02),
        Neighbour("pwo", _span(0x1065, 0x1070), 0.02),
        Neighbour("blk", frozenset("\uaa7b"), 0.005),
        Neighbour("tai", _span(0xAA60, 0xAA7A) | _span(0xA9E0, 0xA9FE) | frozenset("\u108e\u108f\u109d"), 0.03),
        Neighbour("mnw", _span(0x105A, 0x1060) | _span(0x1033, 0x1035) | frozenset("\u1028"), 0.015),
        Neighbour("pli", _span(0x1050, 0x1059), 0.02),
    ),
    "Thai": (Neighbour("pli", frozenset("\u0e3a"), 0.01),),
    "Laoo": (
        Neighbour("kjg", frozenset("\u0ede\u0edf"), 0.005),
        Neighbour("pli", frozenset("\u0e86\u0e89\u0e8c\u0e98\u0ea0\u0eac\u0eba") | _span(0x0E8E, 0x0E93), 0.02),
    ),
    "Hani": (Neighbour("yue", frozenset("嘅喺嗰咗冇佢哋啲嚟唔嘢乜"), 0.02),),
}
"""By the script's range in `scripts`; the first that fits counts."""


def neighbour_of(text: str, script: str, letters: int) -> str:
    """Label of the neighbour that `text` is written in, '' for none.

    `letters` is the number of the script's letters in the text. Text for the Zawgyi font spends the letters of other
    languages on glyphs: it is told by its asat, which Unicode writes seldom, and is never a neighbour's.
    """
    if script not in NEIGHBOURS or not letters:
        return ""
    if script == "Mymr" and text.count(_ZAWGYI_ASAT) > text.count(_ASAT):
        return ""
    for neighbour in NEIGHBOURS[script]:
        if sum(map(text.count, neighbour.letters)) >= neighbour.min_share * letters:
            return neighbour.label
    return ""
