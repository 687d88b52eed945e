"""What is known of each block of a page, as numbers: nothing here reads words of any language.

Lengths are counted in `mass`: letters and digits, a Chinese character as three, a Korean one as two, combining marks
that take no room as none, so that lines of equal meaning weigh about the same in every script.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache, cached_property

import numpy as np

from ..core.kept import kept
from .blocks import HINT_NAMES, TAG_NUMBERS, Layout

CLASSES = ("letters", "upper", "digits", "enders", "commas", "symbols", "copyright", "bars", "mails", "colons", "lines")
_ENDERS = ".!?…。！？．｡؟۔।॥။៕៚៙។ຯฯ๚๛⸮‼⁇⁈⁉"
_COMMAS = ",;、，；،؛၊·"
_COLONS = ":：៖"
_BARS = "|•›»·→▶"
CLOSING = frozenset("\"'”’»）)」』】›")
_TABLE = 0x10000
OWN_TAGS = ("p", "div", "h1", "h2", "h3", "h4", "li", "td", "th", "pre", "blockquote", "dt", "dd", "figcaption")
PARA_MASS = 60.0
"""A block of this mass with few links counts as a paragraph."""
OFFSETS = (-2, -1, 1, 2)
LEVELS = 3
"""Elements around the innermost one whose sums are features."""
OPINIONS = ("kept", "up1_kept", "up2_kept", *(f"kept{offset:+}" for offset in OFFSETS), "page_kept")
"""What a second opinion adds to the features of a block."""
MOST = 0.75
"""Share of a page's text; hints of an element that holds more say nothing of a block."""
_MAX_FEATURES = 256
MAX_CHAIN = 64
"""Levels that are climbed from the heaviest element to meet a block."""


@kept()
def _categories() -> np.ndarray:
    """The two letters of each character's category. [65536, 2]"""
    names = "".join(map(unicodedata.category, map(chr, range(_TABLE)))).encode()
    return np.frombuffer(names, np.uint8).reshape(-1, 2)


@cache
def character_table() -> tuple[np.ndarray, np.ndarray]:
    """For the characters up to U+FFFF the number of their kind [65536]; and for each kind the mass, and 0 or 1 for each
    of `CLASSES` [kinds, 1 + K]. There are a few dozen kinds, so that text is counted by kind and not by class."""
    marked = {"enders": _ENDERS, "commas": _COMMAS, "copyright": "©", "bars": _BARS, "mails": "@", "colons": _COLONS}
    code = np.arange(_TABLE)
    major, minor = _categories().T
    letter, number, spacing = major == ord("L"), major == ord("N"), (major == ord("M")) & (minor == ord("c"))
    table = np.zeros((_TABLE, 1 + len(CLASSES)), np.uint8)
    table[letter | number | spacing, 0] = 1
    table[letter & (((code >= 0x2E80) & (code < 0xA000)) | ((code >= 0xF900) & (code < 0xFB00))), 0] = 3
    table[letter & (code >= 0xAC00) & (code < 0xD7B0), 0] = 2
    table[:, 1], table[:, 2], table[:, 3] = letter, letter & (minor == ord("u")), number
    table[major == ord("S"), 1 + CLASSES.index("symbols")] = 1
    table[[ord(char) for char in "/\\#*_<>[]{}~^=+"], 1 + CLASSES.index("symbols")] = 1
    table[ord("\n"), 1 + CLASSES.index("lines")] = 1
    for name, characters in (*marked.items(), ("symbols", "|•·»«@*")):
        table[[ord(char) for char in characters], 1 + CLASSES.index(name)] = 1
    _, first, kind_of = np.unique(
        table @ (1 << 2 * np.arange(1 + len(CLASSES))), return_index=True, return_inverse=True
    )
    return kind_of.astype(np.uint8), table[first].astype(np.float64)


def count_characters(texts: list[str]) -> np.ndarray:
    """Mass and the number of characters of each class, per text. [1 + K, B]"""
    kind_of, kinds = character_table()
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    keys = np.repeat(np.arange(0, len(texts) * len(kinds), len(kinds)), lengths)
    keys += kind_of[np.minimum(codes, _TABLE - 1)]
    counts = np.bincount(keys, minlength=len(texts) * len(kinds)).reshape(len(texts), -1)
    return (counts @ kinds).T.astype(np.float32)


class Columns:
    """Named rows of one number per block."""

    def __init__(self, blocks: int):
        self.names: list[str] = []
        self.room_FB = np.empty((_MAX_FEATURES, blocks), np.float32)

    def add(self, name: str, row: np.ndarray | list | float) -> None:
        self.room_FB[len(self.names)] = row
        self.names.append(name)

    def extend(self, names: list[str], rows: np.ndarray) -> None:
        """Add several rows [K, B]."""
        self.room_FB[len(self.names) : len(self.names) + len(names)] = rows
        self.names += names

    def matrix(self) -> np.ndarray:
        """All rows. [F, B]"""
        return self.room_FB[: len(self.names)]


class Page:
    """A layout with the sums that its features are made of. `blocks` B, elements E."""

    def __init__(self, layout: Layout, title: str = ""):
        self.layout = layout
        self.title = title.casefold()
        self.blocks = len(layout.texts)
        self.place = layout.place
        self.all_counts = count_characters(layout.texts) if layout.counts is None else layout.counts
        self.mass, self.counts = self.all_counts[0], self.all_counts[1:]
        self.linked = layout.linked

    @cached_property
    def total(self) -> float:
        return max(1.0, float(self.mass.sum()))

    @cached_property
    def para(self) -> np.ndarray:
        """Mass of the blocks that are paragraphs, 0 of others. [B]"""
        return ((self.mass >= PARA_MASS) & (self.linked < 0.4)) * self.mass

    @cached_property
    def all_para(self) -> float:
        return max(1.0, float(self.para.sum()))

    @cached_property
    def above(self) -> np.ndarray:
        """The innermost element around each block, and those around it. [1 + LEVELS, B]"""
        above = [self.place]
        for _ in range(LEVELS):
            above.append(self.layout.parent[above[-1]])
        return np.stack(above)

    def repeated(self) -> tuple[list[int], list[float]]:
        """How many blocks have a block's text, and the share of the page's title that it is. [B], [B]"""
        folded = [text.casefold() for text in self.layout.texts]
        seen = Counter(folded)
        title, whole = self.title, max(1, len(self.title))
        titled = [len(text) / whole if 8 < len(text) <= whole and text in title else 0.0 for text in folded]
        return [seen[text] for text in folded], titled

    def over(self, rows: np.ndarray) -> np.ndarray:
        """Sums of rows [K, B] over the blocks of each element. [K, E]"""
        running = np.zeros((len(rows), self.blocks + 1))
        np.cumsum(rows, axis=1, out=running[:, 1:])
        return (running[:, self.layout.end] - running[:, self.layout.first]).astype(np.float32)

    def near(self, rows: np.ndarray) -> np.ndarray:
        """Rows [K, B] as they are at the blocks before and after, 0 outside the page. [K * 4, B]"""
        reach = max(OFFSETS)
        wide = np.zeros((len(rows), self.blocks + 2 * reach), np.float32)
        wide[:, reach:-reach] = rows
        index = np.arange(self.blocks) + np.asarray(OFFSETS)[:, None] + reach
        return wide[:, index].reshape(-1, self.blocks)

    def before(self, row: np.ndarray) -> np.ndarray:
        """Sum over the blocks before each. [B]"""
        return np.cumsum(row) - row

    def alike(self, groups: np.ndarray) -> np.ndarray:
        """Of the blocks with the same number in `groups` [B]: their mass, the mass of their links, and how many they
        are. [3, B]"""
        rows = (self.mass, self.mass * self.linked, None)
        return np.stack([np.bincount(groups, row) for row in rows])[:, groups]

    def heaviest(self, columns: Columns, name: str, weight: np.ndarray) -> None:
        """Add where each block stands to the element whose blocks weigh most: those right inside it count fully, those
        one and two levels further down 0.6 and 0.3 of that."""
        layout = self.layout
        elements = len(layout.parent)
        score = sum(
            share * np.bincount(self.above[level], weight, elements) for level, share in ((1, 1.0), (2, 0.6), (3, 0.3))
        )
        if elements > 1:
            score[0] = 0
        best = int(score.argmax())
        chain = [best]
        while chain[-1] and len(chain) < MAX_CHAIN:
            chain.append(int(layout.parent[chain[-1]]))
        chain_C = np.asarray(chain)[:, None]
        index = np.arange(self.blocks)
        met = ((index >= layout.first[chain_C]) & (index < layout.end[chain_C])).sum(0)
        first, end = int(layout.first[best]), int(layout.end[best])
        inside = float(weight[first:end].sum())
        columns.add(f"{name}_apart", len(chain) - met)
        columns.add(f"{name}_deeper", layout.depth[self.place] - layout.depth[best])
        columns.add(f"{name}_share", inside / max(1e-6, float(weight.sum())))
        columns.add(f"{name}_size", np.log1p(inside))
        columns.add(f"{name}_side", np.where(index < first, -1, np.where(index >= end, 1, 0)))


def _paths(page: Page) -> np.ndarray:
    """A number per block that is the same where the nearest four elements have the same tags and the same depth. [B]"""
    codes = page.layout.depth[page.place]
    for tags in page.layout.tag[page.above]:
        codes = codes * 64 + tags
    return np.unique(codes, return_inverse=True)[1]


def features(page: Page) -> tuple[list[str], np.ndarray]:
    """Names, and values [F, B], of all that a block is judged by."""
    columns = Columns(page.blocks)
    _add_text(page, columns)
    _add_place(page, columns)
    _add_surroundings(page, columns)
    _add_hints(page, columns)
    return columns.names, columns.matrix()


def opinions(page: Page, kept: np.ndarray) -> np.ndarray:
    """Values of `OPINIONS` [8, B] for marks of `second_opinion` [B]: of the block, what share of the elements around it
    and of the page is kept, and of its neighbours."""
    weight = page.mass + 1
    whole, taken = page.over(np.stack([weight, weight * kept]))
    share = taken / np.maximum(1, whole)
    everywhere = np.full((1, page.blocks), share[0])
    return np.concatenate([kept[None], share[page.above[1:3]], page.near(kept[None]), everywhere])


def _add_text(page: Page, columns: Columns) -> None:
    texts, counts, size = page.layout.texts, page.counts, np.maximum(1.0, page.mass)
    columns.add("mass", np.log1p(page.mass))
    columns.add("linked", page.linked)
    columns.add("links", np.log1p(page.layout.links))
    columns.add("unlinked", np.log1p(page.mass * (1 - page.linked)))
    columns.extend([f"{name}_share" for name in CLASSES[:6]], counts[:6] / size)
    columns.extend([f"{name}" for name in CLASSES[2:]], np.minimum(counts[2:], 12))
    last = [text[-1] if text[-1] not in CLOSING else text[-2:-1] for text in texts]
    columns.add("ends", [char in _ENDERS for char in last])
    columns.add("leads", [char in _COLONS for char in last])
    again, titled = page.repeated()
    columns.add("again", again)
    columns.add("titled", titled)


def _add_place(page: Page, columns: Columns) -> None:
    layout, index = page.layout, np.arange(page.blocks)
    own = layout.tag[page.place]
    para_before = page.before(page.para)
    is_h1 = own == TAG_NUMBERS["h1"]
    is_head = (own >= TAG_NUMBERS["h1"]) & (own <= TAG_NUMBERS["h4"])
    since_h1, since_head = (
        np.log1p(np.minimum(200, index - np.maximum.accumulate(np.where(flags, index, -1000))))
        for flags in (is_h1, is_head)
    )
    columns.add("index", np.log1p(index))
    columns.add("from_end", np.log1p(page.blocks - index))
    columns.add("before", page.before(page.mass) / page.total)
    columns.add("para_before", para_before / page.all_para)
    columns.add("para_after", (page.all_para - para_before - page.para) / page.all_para)
    columns.add("since_h1", since_h1)
    columns.add("since_head", since_head)
    columns.add("depth", layout.depth[page.place])
    numbers = np.asarray([TAG_NUMBERS[name] for name in OWN_TAGS])
    columns.extend([f"is_{name}" for name in OWN_TAGS], own == numbers[:, None])


def _add_surroundings(page: Page, columns: Columns) -> None:
    """The blocks before and after, the elements around, and the blocks with alike elements around them."""
    layout = page.layout
    rows = np.stack([np.log1p(page.mass), page.linked, np.minimum(5, page.counts[CLASSES.index("enders")])])
    names = [f"{name}{offset:+}" for name in ("mass", "linked", "enders") for offset in OFFSETS]
    columns.extend(names, page.near(rows))
    sums = page.over(np.stack([page.mass, page.mass * page.linked, page.para]))
    all_mass, link_mass, para_mass = sums[:, page.above[1:]]
    blocks = (layout.end - layout.first)[page.above[1:]]
    ups = [f"up{level}" for level in range(1, LEVELS + 1)]
    size = np.maximum(1, all_mass)
    columns.extend([f"{up}_mass" for up in ups], np.log1p(all_mass))
    columns.extend([f"{up}_linked" for up in ups], link_mass / size)
    columns.extend([f"{up}_para" for up in ups], para_mass / size)
    columns.extend([f"{up}_of_all" for up in ups], para_mass / page.all_para)
    columns.extend([f"{up}_mean" for up in ups], np.log1p(all_mass / blocks))
    mass, links, count = page.alike(_paths(page))
    columns.add("path_mass", np.log1p(mass))
    columns.add("path_linked", links / np.maximum(1, mass))
    columns.add("path_count", np.log1p(count))
    columns.add("path_mean", np.log1p(mass / count))
    page.heaviest(columns, "heavy", page.para * (1 - page.linked))


def _add_hints(page: Page, columns: Columns) -> None:
    """Hints of all elements around that hold no more than most of the page, and of the nearest three."""
    layout = page.layout
    own = layout.hints
    share = page.over(page.mass[None])[0] / page.total
    around = np.where(share < MOST, own, 0).tolist()
    for element, parent in enumerate(layout.parent.tolist()):
        around[element] |= around[parent]
    near = own[page.above[:3]]
    words = np.stack([np.asarray(around)[page.place], near[0] | near[1] | near[2]], axis=1)
    bits = np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    columns.extend([f"around_{name}" for name in HINT_NAMES], bits.T[: len(HINT_NAMES)])
    columns.extend([f"near_{name}" for name in HINT_NAMES], bits.T[64 : 64 + len(HINT_NAMES)])
