"""One order for the marks around a letter: Thai, Lao, Khmer and Burmese.

A cluster can often be typed in several orders that look alike; computers take them for different words. Here every
cluster gets the order that its script's description asks for, and a mark typed twice is written once. Text in that
order already is found by one search and left alone.

* Thai and Lao: vowel, tone, silencer; nikhahit and AA are AM, with the tone before it; two E are AE.
* Khmer (Unicode 16.4 and the Khmer Encoding Structure, L2/22-290): letter, robat, subscripts with RO last, register
  shifter, vowels, signs. E with II or AA is one vowel; deprecated letters and invisible vowels go. The vowel U with a
  vowel above it is how a register shifter looks there, and becomes one.
* Burmese (Unicode 16.3, UTN 11): medials YA RA WA HA, vowel E, vowels above, below and beside, nasal, dot, visarga. An
  asat stays where it is (it closes what stands before it).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection


def _ranks(*groups: str) -> dict[str, int]:
    return {mark: rank for rank, group in enumerate(groups) for mark in group}


def _span(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


_THAI = _ranks(
    "\u0e3a", "\u0e31\u0e34\u0e35\u0e36\u0e37\u0e38\u0e39\u0e47\u0e4d", "\u0e48\u0e49\u0e4a\u0e4b", "\u0e4c\u0e4e"
)
_LAO = _ranks(
    "\u0eba", "\u0ebc", "\u0eb1\u0eb4\u0eb5\u0eb6\u0eb7\u0eb8\u0eb9\u0ebb\u0ecd", "\u0ec8\u0ec9\u0eca\u0ecb", "\u0ecc"
)
_THAI_BESIDE = _ranks("\u0e48\u0e49\u0e4a\u0e4b", "\u0e30\u0e32\u0e33")
_LAO_BESIDE = _ranks("\u0ec8\u0ec9\u0eca\u0ecb", "\u0eb0\u0eb2\u0eb3")
_BESIDE = "\u0e30\u0e32\u0e33\u0eb0\u0eb2\u0eb3"  # doubled on purpose in a word drawn out (จ้าาา), so kept
_KHMER = _ranks(
    "\u17cc",  # robat, then the subscripts, which are pairs: ranks 1 and 2
    "",
    "",
    "\u17c9\u17ca",
    _span(0x17BE, 0x17C5),
    _span(0x17B7, 0x17BA),
    _span(0x17BB, 0x17BD),
    "\u17b6",
    "\u17cb\u17cd\u17ce\u17cf\u17d0\u17d1\u17d3\u17dd",
    "\u17c6",
    "\u17c7\u17c8",
)
_BURMESE = _ranks(
    "\u103b",
    "\u103c",
    "\u103d",
    "\u103e",
    "\u1031",
    "\u102d\u102e\u1032",
    "\u102f\u1030",
    "\u102b\u102c",
    "\u1036",
    "\u1037",
    "\u1038",
)


def _disorder(ranks: dict[str, int], keep_doubled: str = "") -> str:
    """A pattern for two neighbours in the wrong order, or the same mark twice."""
    groups: dict[int, str] = {}
    for mark, rank in ranks.items():
        groups[rank] = groups.get(rank, "") + mark
    order = sorted(groups)
    parts = [f"[{groups[rank]}][{''.join(groups[r] for r in order if r < rank)}]" for rank in order[1:]]
    return "|".join(parts + [f"{mark}{mark}" for mark in ranks if mark not in keep_doubled])


def _once(units: list[str], keep_doubled: Collection[str] = "") -> str:
    return "".join(
        unit for place, unit in enumerate(units) if not place or unit != units[place - 1] or unit in keep_doubled
    )


def _sorter(ranks: dict[str, int], keep_doubled: str = "") -> Callable[[re.Match[str]], str]:
    return lambda match: _once(sorted(match[0], key=ranks.__getitem__), keep_doubled)


# --- Thai and Lao ---------------------------------------------------------------------------------------------------

_SOUTH_WEST = re.compile(
    f"{_disorder(_THAI)}|{_disorder(_LAO)}|เเ|ເເ|\u0e4d[\u0e48-\u0e4b]*\u0e32|\u0ecd[\u0ec8-\u0ecb]*\u0eb2"
    "|[\u0e30\u0e32\u0e33][\u0e48-\u0e4b]|[\u0eb0\u0eb2\u0eb3][\u0ec8-\u0ecb]"
)
_THAI_RUN, _LAO_RUN = (re.compile(f"[{''.join(ranks)}]{{2,}}") for ranks in (_THAI, _LAO))
_SOUTH_WEST_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # A doubled sara e, the common way to type sara ae.
    (re.compile("เเ"), "แ"),
    (re.compile("ເເ"), "ແ"),
    # A tone belongs above the consonant, never behind a vowel that stands beside it.
    (
        re.compile("[\u0e30\u0e32\u0e33][\u0e30\u0e32\u0e33\u0e48-\u0e4b]*[\u0e48-\u0e4b]"),
        _sorter(_THAI_BESIDE, _BESIDE),
    ),
    (
        re.compile("[\u0eb0\u0eb2\u0eb3][\u0eb0\u0eb2\u0eb3\u0ec8-\u0ecb]*[\u0ec8-\u0ecb]"),
        _sorter(_LAO_BESIDE, _BESIDE),
    ),
    (_THAI_RUN, _sorter(_THAI)),
    (_LAO_RUN, _sorter(_LAO)),
    (re.compile("\u0e4d([\u0e48-\u0e4b]*)\u0e32"), "\\1\u0e33"),
    (re.compile("\u0ecd([\u0ec8-\u0ecb]*)\u0eb2"), "\\1\u0eb3"),
)


def _south_west(text: str) -> str:
    for pattern, spelling in _SOUTH_WEST_RULES:
        text = pattern.sub(spelling, text)
    return text


# --- Khmer ----------------------------------------------------------------------------------------------------------

_KHMER_MARK = "".join(_KHMER)
_KHMER_DISORDER = re.compile(
    f"[\u17a3\u17a4\u17b4\u17b5]|{_disorder(_KHMER)}|[{_KHMER_MARK.replace(chr(0x17CC), '')}]\u17d2[\u1780-\u17b3]"
    "|\u17d2\u179a\u17d2[\u1780-\u1799\u179b-\u17b3]|\u17d2[\u1780-\u17b3]\u17cc"
    "|\u17c1[\u17b8\u17b6]|\u17bb[\u17b7-\u17ba\u17be]|[\u17b7-\u17ba\u17be]\u17bb|\u17bb\u17b6"
)
_KHMER_DEPRECATED = str.maketrans({"\u17a3": "\u17a2", "\u17a4": "\u17a2\u17b6", "\u17b4": None, "\u17b5": None})
_KHMER_CLUSTER = re.compile(f"([\u1780-\u17b3])((?:\u17d2[\u1780-\u17b3]|[{_KHMER_MARK}]){{2,}})")
_KHMER_UNIT = re.compile("\u17d2?.")
_E_AND = ((re.compile("\u17c1\u17b8"), "\u17be"), (re.compile("\u17c1\u17b6"), "\u17c4"))
_ABOVE = "\u17b7\u17b8\u17b9\u17ba\u17be"
_SHIFTERS = {**dict.fromkeys("សហអប", "\u17ca"), **dict.fromkeys("ងញមយរវនល", "\u17c9")}
"""Triisap moves letters of the first series to the second, muusikatoan the other way."""


def _khmer(text: str) -> str:
    return _KHMER_CLUSTER.sub(_khmer_cluster, text.translate(_KHMER_DEPRECATED))


def _khmer_rank(unit: str) -> int:
    return (2 if unit[1] == "\u179a" else 1) if len(unit) == 2 else _KHMER[unit]


def _khmer_cluster(match: re.Match[str]) -> str:
    letter, marks = match.groups()
    units = sorted(_KHMER_UNIT.findall(marks), key=_khmer_rank)
    marks = _once(units, {unit for unit in units if len(unit) == 2})
    for pattern, vowel in _E_AND:
        marks = pattern.sub(vowel, marks)
    above = "\u17b6\u17c6" in marks or any(vowel in marks for vowel in _ABOVE)
    if above and "\u17bb" in marks and letter in _SHIFTERS and not {"\u17c9", "\u17ca"} & set(marks):
        units = [*_KHMER_UNIT.findall(marks.replace("\u17bb", "")), _SHIFTERS[letter]]
        marks = "".join(sorted(units, key=_khmer_rank))
    return letter + marks


# --- Burmese --------------------------------------------------------------------------------------------------------

_BURMESE_DISORDER = re.compile(
    f"{_disorder(_BURMESE, keep_doubled=chr(0x1038))}|\u103a\u103a|[\u102f\u1038]\u103a|\u1025[\u1037]?\u103a"
    "|[\u1040\u1047][\u102b-\u1032\u1036-\u1038\u103a-\u103e]|\u1040[\u1000-\u1021]|စျ|သြ| [\u1036-\u1038\u103a-\u103e]"
)
_BURMESE_RUN = re.compile(f"[{''.join(_BURMESE)}]{{2,}}")
_BURMESE_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile("\u1038(\u1037?\u103a)"), "\\1\u1038"),
    (_BURMESE_RUN, _sorter(_BURMESE, "\u1038")),
    (re.compile("\u103a{2,}"), "\u103a"),
    # An asat that slipped: in ကျွန်ုပ် it stands before the vowel, and no other syllable with one has it in the middle.
    (re.compile("\u1014\u102f\u103a(?=\u1015\u103a)"), "\u1014\u103a\u102f"),
    (re.compile("(?<=\u102d\u102f)\u103a(?=[\u1000-\u1021]\u1037?\u103a)"), ""),
    # A blank before a mark that needs a letter: left by converters and old fonts.
    (re.compile("(?<=[\u1000-\u103f]) (?=[\u1036-\u1038\u103a-\u103e])"), ""),
    # Characters drawn alike. The letter U cannot be killed, it is NNYA; zero and seven carry no marks and zero does not
    # begin a word, they are WA and RA; SA with YA is JHA, and THA with RA and no vowel the letter O.
    (re.compile("\u1025(?=\u1037?\u103a)"), "\u1009"),
    (re.compile("\u1040(?=[\u102b-\u1032\u1036-\u1038\u103a-\u103e])"), "\u101d"),
    (re.compile("(?<![\u1040-\u1049.,])\u1040(?=[\u1000-\u1021]\u1037?\u103a)"), "\u101d"),
    (re.compile("(?<=[\u1000-\u103f])\u1040(?=[\u1000-\u1021])"), "\u101d"),
    (re.compile("\u1047(?=[\u102b-\u1032\u1036-\u1038\u103a-\u103e])"), "\u101b"),
    (re.compile("\u1005\u103b"), "\u1008"),
    (re.compile("\u101e\u103c\u1031\u102c\u103a"), "\u102a"),
    (re.compile("\u101e\u103c(?![\u103a-\u103e\u102b-\u1032\u1036-\u1038\u1039])"), "\u1029"),
)


def _burmese(text: str) -> str:
    for pattern, spelling in _BURMESE_RULES:
        text = pattern.sub(spelling, text)
    return text


_ROUNDS = 4
"""A repair can uncover another (a tone moved beside its double); each runs through whole clusters, so few suffice."""
_SCRIPTS = (
    (re.compile("[\u0e30-\u0ece]"), _SOUTH_WEST, _south_west),
    (re.compile("[\u17a3-\u17dd]"), _KHMER_DISORDER, _khmer),
    (re.compile("[\u102b-\u1049]"), _BURMESE_DISORDER, _burmese),
)
"""Where a script's marks are, where they are out of order (asked only then), and the repair."""


def order_marks(text: str) -> str:
    """`text` (NFC) with the marks of Thai, Lao, Khmer and Burmese in one order, again in NFC. Idempotent."""
    if text.isascii():
        return text
    for present, disorder, repair in _SCRIPTS:
        for _ in range(_ROUNDS):
            if not (present.search(text) and disorder.search(text)):
                break
            before, text = text, unicodedata.normalize("NFC", repair(text))
            if text == before:
                break
    return text
