"""Counting units of a text as arrays: where each word or cluster starts and ends, and a 64-bit hash of each.

Statistics of whole corpora need millions of units a second, so nothing here loops over characters: every code point
gets a class from a table, a table over pairs of classes says which character continues the unit before it, and what
starts with a class that can start a unit is one. The units are those of `segment.words`: words in spaced languages,
orthographic clusters in Thai, Lao, Khmer and Burmese, characters in Chinese; punctuation and blanks are left out. They
differ from it only in malformed text: marks doubled, out of order or on a digit, which here stay with their unit.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import regex

from ..core.kept import kept
from .kernels import loops

POINTS = 0x40000
"""Code points with a class of their own; those above (tags, private use) count as the last of these."""
(
    _OTHER,  # punctuation, blanks, symbols, controls
    _WORD,  # letters, marks and numbers of scripts with spaces
    _LETTER,  # a character that is a unit by itself: Han, Kana, Thai and Lao signs such as ๆ
    _NUMBER,  # digits of scripts without spaces
    _BEFORE,  # Thai and Lao vowels written before their consonant
    _BASE,  # Thai and Lao consonants
    _MARK,  # Thai and Lao vowels and tones above and below; other marks of scripts without spaces
    _AFTER,  # Thai and Lao vowels written after their consonant
    KHMER,
    _KHMER_MARK,
    COENG,
    BURMESE,  # consonants, which can close the syllable before them
    _BURMESE_LETTER,
    _BURMESE_MARK,
    VIRAMA,
    _JOINER,  # ZWNJ and ZWJ
) = range(16)
_SPACELESS = r"\u0E00-\u0EFF\u1000-\u109F\uAA60-\uAA7F\u1780-\u17FF\p{Han}\p{Hiragana}\p{Katakana}"
# Later lines overrule earlier ones.
_CLASSES = (
    (_WORD, r"\p{L}\p{M}\p{N}"),
    (_MARK, rf"[{_SPACELESS}]&&\p{{M}}"),
    (_NUMBER, rf"[{_SPACELESS}]&&\p{{N}}"),
    (_LETTER, rf"[{_SPACELESS}]&&\p{{L}}"),
    (_BEFORE, r"\u0E40-\u0E44\u0EC0-\u0EC4"),
    (_BASE, r"\u0E01-\u0E2E\u0E81-\u0EAE\u0EDC-\u0EDF"),
    (_AFTER, r"\u0E30\u0E32\u0E33\u0E45\u0EB0\u0EB2\u0EB3\u0EBD"),
    (KHMER, r"\u1780-\u17B3"),
    (_KHMER_MARK, r"\u17B4-\u17D1\u17D3\u17DD"),
    (COENG, r"\u17D2"),
    (
        _BURMESE_LETTER,
        r"\u1022-\u102A\u103F\u1050-\u1055\u105A-\u105D\u1061\u1065\u1066\u106E-\u1070\u1075-\u1081\u108E",
    ),
    (BURMESE, r"\u1000-\u1021"),
    (
        _BURMESE_MARK,
        r"\u102B-\u1038\u103A-\u103E\u1056-\u1059\u105E-\u1060\u1062-\u1064\u1067-\u106D\u1071-\u1074\u1082-\u108D\u108F",
    ),
    (VIRAMA, r"\u1039"),
    (_JOINER, r"\u200C\u200D"),
)
_KHMER_ALL = (KHMER, _KHMER_MARK, COENG, _JOINER)
_BURMESE_ALL = (BURMESE, _BURMESE_LETTER, _BURMESE_MARK)
_CONTINUES = {
    _WORD: (_WORD,),
    _NUMBER: (_NUMBER,),
    _BASE: (_BEFORE,),
    _MARK: (_LETTER, _BEFORE, _BASE, _MARK, _AFTER),
    _AFTER: (_BASE, _MARK, _AFTER),
    KHMER: (COENG,),
    _KHMER_MARK: (*_KHMER_ALL, _LETTER),
    COENG: _KHMER_ALL,
    _JOINER: _KHMER_ALL,
    BURMESE: (VIRAMA,),
    _BURMESE_MARK: (*_BURMESE_ALL, VIRAMA, _LETTER, _NUMBER),  # the digit zero is often typed for the letter wa
    VIRAMA: _BURMESE_ALL,
}
"""A character of the class continues the unit if the one before it is of one of these."""
_STARTS = (_WORD, _LETTER, _NUMBER, _BEFORE, _BASE, _AFTER, KHMER, BURMESE, _BURMESE_LETTER)
IN_WORD, JOINS, LETTER = 1, 2, 4
"""Bits of characters in spaced languages: in a word, in a word between letters, a letter, mark or number."""
_JOINS_WORDS = "'’-‐‑"
"""Between two letters these are part of a word."""
ASAT, DOT_BELOW, BURMESE_VIRAMA = 0x103A, 0x1037, 0x1039

STEP = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse modulo 2**64."""
GRAM_STEP = 0xD6E8FEB86659FD93


MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""Multipliers of SplitMix64's finaliser."""


@dataclass(frozen=True)
class Units:
    """A text of C characters in U counting units; unit u is characters `starts_U[u]` to `ends_U[u]`."""

    codepoints_C: np.ndarray
    """uint32."""
    starts_U: np.ndarray
    """int64."""
    ends_U: np.ndarray
    hashes_U: np.ndarray
    """uint64: equal units have equal hashes, on every machine."""

    def __len__(self) -> int:
        return len(self.starts_U)

    @functools.cached_property
    def gram_sums(self) -> np.ndarray:
        """What `ngram_hashes` cuts its hashes from, for every n."""
        return _gram_sums(self.hashes_U)

    @functools.cached_property
    def counted(self) -> tuple[np.ndarray, np.ndarray]:
        """The different hashes, sorted, and how often each occurs."""
        return np.unique(self.hashes_U, return_counts=True)


@dataclass(frozen=True)
class Points:
    """The code points of a text, for which hashes of its spans (units, lines, paragraphs) are prepared once."""

    codepoints_C: np.ndarray
    """uint32."""

    def hashes(self, starts_S: np.ndarray, ends_S: np.ndarray) -> np.ndarray:
        """Hashes [S] (uint64) of the spans: polynomials modulo 2**64."""
        if not len(starts_S):
            return np.zeros(0, np.uint64)
        if (compiled := loops("words")) is not None:
            return compiled.span_hashes(self.codepoints_C, starts_S, ends_S, character_table())
        inverses = _powers(STEP, len(self.codepoints_C))[1]
        return _mixed((self._sums[ends_S] - self._sums[starts_S]) * inverses[starts_S])

    @functools.cached_property
    def _sums(self) -> np.ndarray:
        """What `hashes` are cut from [C + 1]."""
        powers = _powers(STEP, len(self.codepoints_C))[0]
        return _running_sums(character_hashes(self.codepoints_C) * powers)

    def units(self, spaced: bool) -> Units:
        """The counting units of the text, which is in a language whose words are set apart by spaces or not."""
        if spaced and (compiled := loops("words")) is not None:
            return Units(self.codepoints_C, *compiled.words(self.codepoints_C, word_kinds(), character_table()))
        if not spaced and (compiled := loops("words")) is not None:
            tables = _cluster_classes(), _pairs(), _can_start(), character_table()
            return Units(self.codepoints_C, *compiled.clusters(self.codepoints_C, *tables))
        return self.at(*(_words if spaced else _clusters)(self.codepoints_C))

    def at(self, starts_U: np.ndarray, ends_U: np.ndarray) -> Units:
        """The units at these places."""
        return Units(self.codepoints_C, starts_U, ends_U, self.hashes(starts_U, ends_U))


def codepoints(text: str) -> np.ndarray:
    """The characters of `text` as numbers [C], uint32."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def units(text: str, spaced: bool) -> Units:
    """The counting units of `text`, which is in a language whose words are set apart by spaces or not."""
    return Points(codepoints(text)).units(spaced)


def unit_hash(unit: str) -> int:
    """The hash that `units` gives a unit with this spelling."""
    return int(Points(codepoints(unit)).hashes(np.array([0]), np.array([len(unit)]))[0])


def ngram_hashes(units: Units | np.ndarray, n: int, places_P: np.ndarray | None = None) -> np.ndarray:
    """Hashes (uint64) of all U-n+1 runs of `n` units, or of those that start at `places_P`; `units` may be hashes too.
    None where there are fewer units than `n`."""
    sums = units.gram_sums if isinstance(units, Units) else _gram_sums(units)
    rows = len(sums) - n
    if rows <= 0:
        return np.zeros(0, np.uint64)
    inverses = _powers(GRAM_STEP, len(sums))[1]
    if places_P is None:
        return _mixed((sums[n:] - sums[:rows]) * inverses[:rows])
    return _mixed((sums[places_P + n] - sums[places_P]) * inverses[places_P])


def _gram_sums(hashes_U: np.ndarray) -> np.ndarray:
    return _running_sums(hashes_U * _powers(GRAM_STEP, len(hashes_U) + 1)[0][:-1])


_TABLE_POINTS = 0x10000
"""Hashes of characters below are looked up, which is five times as fast."""


def character_hashes(codepoints_C: np.ndarray) -> np.ndarray:
    if len(codepoints_C) and codepoints_C.max() < _TABLE_POINTS:
        return np.take(character_table(), codepoints_C)
    return _mixed(codepoints_C.astype(np.uint64) + np.uint64(1))


@functools.cache
def character_table() -> np.ndarray:
    return _mixed(np.arange(1, _TABLE_POINTS + 1, dtype=np.uint64))


def _words(codepoints_C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of letters, marks, numbers and joiners, with single apostrophes and hyphens inside."""
    kinds = np.take(word_kinds(), codepoints_C, mode="clip")
    inside = np.zeros(len(kinds) + 2, bool)
    inside[1:-1] = kinds & IN_WORD
    between = np.flatnonzero(kinds & JOINS)
    if len(between):
        letters = np.zeros(len(kinds) + 1, bool)
        letters[:-1] = kinds & LETTER
        inside[between[inside[between] & letters[between + 1]] + 1] = True
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    return edges[::2], edges[1::2]


def _clusters(codepoints_C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kinds = np.take(_cluster_classes(), codepoints_C, mode="clip")
    if not len(kinds):
        none = np.zeros(0, np.int64)
        return none, none
    before = np.empty_like(kinds)
    before[0], before[1:] = _OTHER, kinds[:-1]
    continues = np.take(_pairs(), before * np.uint8(16) + kinds)
    _unstack(kinds, before, continues, COENG, KHMER)
    _unstack(kinds, before, continues, VIRAMA, BURMESE)
    continues |= _closes(codepoints_C, kinds, before)
    starts = np.flatnonzero(~continues)
    ends = np.append(starts[1:], len(kinds))
    kept = np.take(_can_start(), kinds[starts])
    return starts[kept], ends[kept]


def _unstack(kinds: np.ndarray, before: np.ndarray, continues: np.ndarray, sign: int, letter: int) -> None:
    """A stacking sign with nothing before it stacks nothing: the letter after it starts a unit."""
    stray = np.flatnonzero((kinds == sign) & ~continues) + 1
    stray = stray[stray < len(kinds)]
    continues[stray[kinds[stray] == letter]] = False


def _closes(codepoints_C: np.ndarray, kinds: np.ndarray, before: np.ndarray) -> np.ndarray | bool:
    """Which Burmese consonants close the syllable before them: killed by asat, or the head of a stack."""
    places = np.flatnonzero((kinds == BURMESE) & np.take(burmese(), before))
    if not len(places):
        return False
    padded = np.zeros(len(kinds) + 2, np.uint32)
    padded[:-2] = codepoints_C
    after, second = padded[places + 1], padded[places + 2]
    closing = (after == ASAT) | (after == BURMESE_VIRAMA) | ((after == DOT_BELOW) & (second == ASAT))
    out = np.zeros(len(kinds), bool)
    out[places[closing]] = True
    return out


@functools.cache
def _all_characters() -> str:
    return "".join(map(chr, range(POINTS)))


def _fill(table: np.ndarray, pattern: str, value: int) -> None:
    for run in regex.finditer(rf"[{pattern}]+", _all_characters(), regex.V1):
        table[run.start() : run.end()] = value


@kept()
def _cluster_classes() -> np.ndarray:
    table = np.zeros(POINTS, np.uint8)
    for number, pattern in _CLASSES:
        _fill(table, pattern, number)
    return table


@kept()
def word_kinds() -> np.ndarray:
    """`IN_WORD`, `JOINS` and `LETTER` by code point."""
    table = np.zeros(POINTS, np.uint8)
    _fill(table, r"\p{L}\p{M}\p{N}", IN_WORD | LETTER)
    _fill(table, r"\u200C\u200D", IN_WORD)
    table[[ord(char) for char in _JOINS_WORDS]] = JOINS
    return table


@functools.cache
def _pairs() -> np.ndarray:
    table = np.zeros(256, bool)
    for after, befores in _CONTINUES.items():
        table[[before * 16 + after for before in befores]] = True
    return table


@functools.cache
def _can_start() -> np.ndarray:
    return np.isin(np.arange(16), _STARTS)


@functools.cache
def burmese() -> np.ndarray:
    return np.isin(np.arange(16), _BURMESE_ALL)


_tables: dict[int, tuple[np.ndarray, np.ndarray]] = {}


def _powers(step: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Powers 0 to length-1 of `step` and of its inverse; tables of up to 2**20 are kept."""
    known = _tables.get(step)
    if known is None or len(known[0]) < length:
        size = max(4096, 1 << (length - 1).bit_length())
        known = _power_table(step, size), _power_table(pow(step, -1, 1 << 64), size)
        if size <= 1 << 20:
            _tables[step] = known
    return known[0][:length], known[1][:length]


def _power_table(step: int, size: int) -> np.ndarray:
    table = np.full(size, step, np.uint64)
    table[0] = 1
    return np.multiply.accumulate(table)


def _running_sums(values: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, … values, modulo 2**64."""
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values, out=sums[1:])
    return sums


def _mixed(values: np.ndarray) -> np.ndarray:
    """Each number scrambled, so that all bits depend on all (the finaliser of SplitMix64)."""
    values = values ^ (values >> np.uint64(30))
    values *= MIX_1
    values ^= values >> np.uint64(27)
    values *= MIX_2
    values ^= values >> np.uint64(31)
    return values
