"""The index of evaluation items: n-grams of their counting units, to be looked up by the million.

All texts are cut as scripts without spaces are: words where there are spaces, clusters where there are none, whatever
language they are labelled with, so that an English question is found in a Thai page. Letter case and blanks do not
count, marks do. Lengths are given in words and scaled to the clusters that a word has. A clue is a set of n-grams of
one item, and so many of them in a document give it away:

    of a long text     one n-gram of the full length (or `min_overlap` of them);
    of a long text     short n-grams near each other that cover `edited_share` of it: words may have been changed;
    of a shorter text  all its n-grams in one place: the whole of it;
    of a short text    the same, where it is a line of its own;
    of a tiny text     nothing by itself; all tiny texts of an item near each other.

An n-gram in more than MAX_ITEMS items and MAX_SHARE of a test is the test's own phrasing and belongs to no clue.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..lang.scripts import weighted_script_shares
from ..lang.units import Units, ngram_hashes, units
from .item_texts import ItemText

CLUSTERS_PER_WORD = {"Thai": 3.0, "Laoo": 3.0, "Khmr": 3.0, "Mymr": 2.0, "Hani": 1.6, "Kana": 1.6}
"""Measured on NTREX-128: clusters of the translation to a word of the English text."""
EDITED_WORDS = 4
EDITED_NGRAMS = 0.4
"""Share of the short n-grams that must be there beside: one passage said twice covers no more of a text."""
EDITED_WINDOW = 2
"""An edited text must be within so many times its own units."""
LINE_SHARE = 0.5
"""A text of so many of `min_words` counts where it is a line of its own."""
NEAR = 20
"""Tiny texts must lie within so many times their own units."""
MIN_DISTINCT = 5
"""A text with fewer different units, each of which comes again, is laughter, a rule or a row of dots."""
MAX_ITEMS, MAX_SHARE = 10, 0.2
SYLLABLES_PER_WORD = 1.4
"""The same of Vietnamese, which puts a blank after every syllable."""
_VIETNAMESE = re.compile("[ăđơưĂĐƠƯ\u1ea0-\u1ef9]")
_LADDER = (1, 2, 3, 4, 6, 8, 12, 21, 26, 39)
"""A text that is looked for as a whole is looked for by all its n-grams of the greatest of these lengths."""


def folded_units(text: str) -> tuple[str, Units]:
    """The text in NFC, and its units with letter case folded: unit u is characters starts_U[u] to ends_U[u] of it."""
    text = unicodedata.normalize("NFC", text)
    lower = text.casefold()
    if len(lower) != len(text):  # ß and a few others fold to two letters, and would move what follows
        lower = "".join(folded if len(folded := char.casefold()) == 1 else char for char in text)
    return text, units(lower, False)


@dataclass(frozen=True)
class _Clue:
    """N-grams by their length in units: so many `needed` tell, all if it is 0; if there is a `window`, within so many
    units of the document, of which they must `cover` some."""

    grams: list[tuple[int, np.ndarray]]
    needed: int = 0
    window: int = 0
    cover: int = 0
    line: bool = False
    """Whether a line must begin before and end after them."""


def build_index(items: Iterable[ItemText], params: Any, folder: Path) -> None:
    """Write the index of `items` into `folder`; `params` is corpus.decontaminate's Params."""
    names, tasks, numbers, clues, lengths = [], [], {}, [], set()
    keys, groups = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for number, item in enumerate(items):
        names.append([item.task, item.name])
        tasks.append(numbers.setdefault(item.task, len(numbers)))
        for clue in _clues(item, params):
            grams = np.unique(np.concatenate([found for _, found in clue.grams]))
            keys.append(grams)
            groups.append(np.full(len(grams), len(clues)))
            clues.append((number, clue.needed or len(grams), clue.window, clue.cover, clue.line))
            lengths |= {n for n, _ in clue.grams}
    key_P, group_P = np.concatenate(keys), np.concatenate(groups)
    order = np.lexsort((group_P, key_P))
    key_P, group_P = key_P[order], group_P[order]
    table = np.array(clues, np.int64).reshape(-1, 5)
    kept_P = ~_phrasing(key_P, table[group_P, 0], np.array(tasks or [0]))
    np.savez(folder / "index.npz", keys=key_P[kept_P], clues=group_P[kept_P], table=table)
    row = {"items": names, "lengths": sorted(lengths)}
    (folder / "index.json").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")


def _clues(item: ItemText, params: Any) -> Iterator[_Clue]:
    tiny: list[tuple[int, np.ndarray]] = []
    units_in_all, least = 0, 1
    for text in dict.fromkeys(item.texts):
        scale = _units_per_word(text)
        full, short, enough = (round(words * scale) for words in (params.word_ngram, EDITED_WORDS, params.min_words))
        found = folded_units(text)[1]
        if len(np.unique(found.hashes_U)) < min(len(found), MIN_DISTINCT):
            continue
        if len(found) >= full:
            grams = ngram_hashes(found, full)
            yield _Clue([(full, grams)], max(1, math.ceil(params.min_overlap * len(grams))))
            if params.edited_share is not None:
                grams = ngram_hashes(found, short)
                needed = math.ceil(EDITED_NGRAMS * len(np.unique(grams)))
                cover = math.ceil(params.edited_share * len(found))
                yield _Clue([(short, grams)], needed, EDITED_WINDOW * len(found), cover)
        elif len(found) >= LINE_SHARE * enough:
            yield _Clue([_whole(found)], window=len(found), line=len(found) < enough)
        if 0 < len(found) < enough:
            tiny.append(_whole(found))
            units_in_all, least = units_in_all + len(found), max(least, enough)
    if units_in_all >= least and len(tiny) > 1:
        yield _Clue(tiny, window=NEAR * units_in_all)


def _units_per_word(text: str) -> float:
    """Of a text in several scripts, the most of any of them: what is long enough there is long enough in all."""
    scripts = [script for script, share in weighted_script_shares(text).items() if share >= 0.02]
    latin = SYLLABLES_PER_WORD if len(_VIETNAMESE.findall(text)) > 0.03 * len(text) else 1.0
    return max((CLUSTERS_PER_WORD.get(script, latin) for script in scripts), default=1.0)


def _whole(found: Units) -> tuple[int, np.ndarray]:
    n = max(length for length in _LADDER if length <= len(found))
    return n, ngram_hashes(found, n)


def _phrasing(key_P: np.ndarray, item_P: np.ndarray, tasks: np.ndarray) -> np.ndarray:
    """Which postings [P] are of a test's own phrasing."""
    _, number_P = np.unique(key_P, return_inverse=True)
    pairs = np.unique(number_P * np.int64(len(tasks)) + item_P)
    by_task = (pairs // len(tasks)) * (tasks.max() + 1) + tasks[pairs % len(tasks)]
    found, counts = np.unique(by_task, return_counts=True)
    sizes = np.bincount(tasks)[found % (tasks.max() + 1)]
    common = found[(counts > MAX_ITEMS) & (counts > MAX_SHARE * sizes)]
    return np.isin(number_P * (tasks.max() + 1) + tasks[item_P], common)


@dataclass(frozen=True)
class Hit:
    """An item found in a document, and where: units `first` up to `end` of it."""

    item: int
    first: int
    end: int


class ItemIndex:
    """The index in a folder that `build_index` wrote."""

    def __init__(self, folder: Path) -> None:
        row = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.items: list[list[str]] = row["items"]
        self._lengths: Sequence[int] = row["lengths"]
        with np.load(folder / "index.npz", allow_pickle=False) as table:
            key_P, self._clue_P, self._clues = table["keys"], table["clues"], table["table"]
        self._keys, self._starts = np.unique(key_P, return_index=True)
        self._ends = np.append(self._starts[1:], len(key_P))
        self._filter = _Filter(self._keys)

    def search(self, found: Units) -> list[Hit]:
        """The items in a document that is cut into units as `folded_units` does, by item."""
        grams = [(n, ngram_hashes(found, n)) for n in self._lengths if n <= len(found)]
        if not grams or not len(self._keys):
            return []
        hashes = np.concatenate([each for _, each in grams])
        maybe = self._filter.pass_(hashes)
        places = np.minimum(np.searchsorted(self._keys, hashes[maybe]), len(self._keys) - 1)
        same = self._keys[places] == hashes[maybe]
        maybe, places = maybe[same], places[same]
        if not len(maybe):
            return []
        edges = np.cumsum([0, *(len(each) for _, each in grams)])
        row = np.searchsorted(edges, maybe, "right") - 1
        first = maybe - edges[row]
        return self._hits(found, places, first, first + np.array([n for n, _ in grams])[row])

    def _hits(self, found: Units, places: np.ndarray, first: np.ndarray, end: np.ndarray) -> list[Hit]:
        """Items of which enough keys were found, given each found key's place and the units it covers."""
        number = self._ends[places] - self._starts[places]
        each = np.repeat(np.arange(len(places)), number)
        posting = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number) + self._starts[places][each]
        clues = self._clue_P[posting]
        distinct = np.unique(clues * np.int64(len(self._keys)) + places[each]) // len(self._keys)
        clue_C, count_C = np.unique(distinct, return_counts=True)
        told = clue_C[count_C >= self._clues[clue_C, 1]]
        chosen = np.flatnonzero(np.isin(clues, told))
        spans: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        columns = (clues[chosen], first[each[chosen]], end[each[chosen]], places[each[chosen]])
        for clue, low, high, key in zip(*(column.tolist() for column in columns), strict=True):
            spans[clue].append((low, high, key))
        rows = []
        for clue, those in spans.items():
            item, needed, window, cover, line = self._clues[clue].tolist()
            passages = _near(those, needed, window, cover) if window else [those]
            for passage in passages:
                if not line or _is_line(found, passage[0][0], passage[-1][1]):
                    rows += [(item, low, high) for low, high, _ in passage]
        return _merged(sorted(rows))


class _Filter:
    """One bit for most of the hashes that are no key, 64 bits a key: what passes is looked up."""

    def __init__(self, keys: np.ndarray) -> None:
        bits = max(16, int(len(keys) * 64).bit_length())
        self._shift = np.uint64(64 - bits)
        self._bytes = np.zeros(1 << (bits - 3), np.uint8)
        place = keys >> self._shift
        np.bitwise_or.at(self._bytes, place >> np.uint64(3), np.uint8(1) << (place & np.uint64(7)).astype(np.uint8))

    def pass_(self, hashes: np.ndarray) -> np.ndarray:
        """Places of the hashes that may be keys."""
        place = hashes >> self._shift
        return np.flatnonzero(
            self._bytes[place >> np.uint64(3)] >> (place & np.uint64(7)).astype(np.uint8) & np.uint8(1)
        )


Spans = Sequence[tuple[int, int, int]]
"""(first unit, end, key) of n-grams found in a document."""


def _near(spans: Spans, needed: int, window: int, cover: int) -> Iterator[Spans]:
    """Spans within a window that have `needed` keys and cover `cover` units, each passage once.

    Where something must be covered all spans have one length, so that each one's end is behind the last one's.
    """
    here: deque[tuple[int, int, int]] = deque()
    keys: Counter[int] = Counter()
    covered = 0
    for span in sorted(spans):
        covered += span[1] - max(span[0], here[-1][1] if here else 0)
        here.append(span)
        keys[span[2]] += 1
        while span[1] - here[0][0] > window:
            first, end, gone = here.popleft()
            covered -= min(end, here[0][0]) - first if here else end - first
            keys[gone] -= 1
            if not keys[gone]:
                del keys[gone]
            if not here:
                break
        if len(keys) >= needed and covered >= cover:
            yield list(here)
            here.clear()
            keys.clear()
            covered = 0


def _is_line(found: Units, first: int, end: int) -> bool:
    """Whether nothing else is in the lines of units `first` up to `end`."""
    before = found.codepoints_C[found.ends_U[first - 1] : found.starts_U[first]] if first else np.array([10])
    after = found.codepoints_C[found.ends_U[end - 1] : found.starts_U[end]] if end < len(found) else np.array([10])
    return bool((before == 10).any() and (after == 10).any())


def _merged(rows: Iterable[tuple[int, int, int]]) -> list[Hit]:
    """Spans of one item that overlap or touch, as one."""
    hits: list[Hit] = []
    for item, first, end in rows:
        if hits and hits[-1].item == item and first <= hits[-1].end:
            hits[-1] = Hit(item, hits[-1].first, max(end, hits[-1].end))
        else:
            hits.append(Hit(item, first, end))
    return hits
