"""Optional compiled loops for reading pages: from a written-out page to the probabilities of its blocks.

They come with the extra `sampan[kernels]` (numba) and give what `blocks`, `features` and `trees` give, bit for bit;
pages that they do not read (tags that close what was never opened, class names after letters that need Unicode's
tables) are left to those.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ...core.compiled import load_compiled
from ...core.kept import kept
from .. import blocks
from ..features import Page, character_table
from ..trees import Sums

WORTH = 250
"""Pages of a process from which the loops save more than numba's start (about a third of a second) costs."""
_FOLDED = 0x20000
"""Characters with case are below."""
_pages = 0


class Loops(NamedTuple):
    """The modules that scan pages, describe blocks, find words, choose blocks, ask trees and read long tags."""

    scan: ModuleType
    describe: ModuleType
    words: ModuleType
    choice: ModuleType
    forest: ModuleType
    attributes: ModuleType


_MODULES = Loops("page_scan", "page_features", "words", "choice", "forest", "attributes")  # type: ignore[arg-type] - their names


def loops(pages: int = 1) -> Loops | None:
    """The modules, once this process has been asked for WORTH pages; None before, and without numba. `pages` are those
    of this call."""
    global _pages
    _pages += pages
    return _loaded() if _pages >= WORTH else None


@cache
def _loaded() -> Loops | None:
    found = [load_compiled(f"{__name__}.{name}") for name in _MODULES]
    return None if None in found else Loops(*found)


def codes_of(data: bytes) -> np.ndarray:
    """The bytes as an array (uint8)."""
    return np.frombuffer(data, np.uint8)


def count_tags(data: bytes) -> tuple[int, int] | None:
    """How many `<` there are, and how many of them a `/` follows; None if that is left to others."""
    found = loops(pages=0)
    return found.words.count_tags(codes_of(data)) if found else None


class Source:
    """The source of a page, in which words of plain letters are looked for; `data` is the same in UTF-8, if known."""

    def __init__(self, html: str, data: bytes | None = None) -> None:
        self.html = html
        self._loops = loops(pages=0)
        if self._loops is not None:
            self._encoded = html.encode("utf-8", "surrogatepass") if data is None else data
            self._codes = np.frombuffer(self._encoded, np.uint8)

    def find(self, word: str) -> int:
        """As `str.find`."""
        if self._loops is None:
            return self.html.find(word)
        place = self._place(word)
        return self._loops.words.characters(self._codes, place) if place > 0 else place

    def before(self, word: str, limit: int) -> str:
        """The source up to the word, or up to `limit` characters where it is not among those."""
        if self._loops is None:
            end = self.html.find(word)
            return self.html[: end if 0 <= end < limit else limit]
        end = self._place(word)
        found = self._encoded[:end].decode("utf-8", "surrogatepass") if 0 <= end < 4 * limit else None
        return found if found is not None and len(found) < limit else self.html[:limit]

    def _place(self, word: str) -> int:
        return self._loops.words.find_word(self._codes, np.frombuffer(word.encode("ascii"), np.uint8))


def scan(body: str) -> blocks.Layout | None:
    """`blocks.scan` of the body; None if it is left to that."""
    found = loops()
    if found is None:
        return None
    body, cut = blocks.within_limits(body)
    codes = np.frombuffer(body.encode(), np.uint8)
    points, blocks_B5, elements, odd = found.scan.scan_bytes(codes, blocks.MAX_BLOCKS)
    hints_E = elements[5]
    if odd or (hints_E < 0).any():
        return None
    ends_B, links_B, sizes_B, linked_B, place_B = np.ascontiguousarray(blocks_B5.T)
    tags, ends = found.words.count_tags(codes)
    text, texts, start = points.tobytes().decode("utf-32-le"), [], 0
    for end in ends_B.tolist():
        texts.append(text[start:end])
        start = end
    return blocks.Layout(
        texts=texts,
        links=links_B,
        linked=(linked_B / sizes_B).astype(np.float32),
        place=place_B,
        parent=elements[2],
        tag=elements[0],
        hints=hints_E,
        depth=elements[1],
        first=elements[3],
        end=elements[4],
        cut=cut or len(texts) >= blocks.MAX_BLOCKS,
        points=points,
        ends=ends_B,
        counts=found.describe.count_points(points, ends_B, *_table()),
        begins=None if cut else tags - ends,
    )


def values_of(page: Page) -> tuple[np.ndarray, Sums]:
    """The features [F, B] of a page that `scan` gave, and the loop that adds up what trees say of them."""
    kernel, layout = _modules().describe, page.layout
    values_FB, long_LB, weight_B, first, end = kernel.describe(
        page.all_counts,
        layout.linked,
        layout.links,
        layout.place,
        layout.tag,
        layout.depth,
        layout.parent,
        layout.first,
        layout.end,
        layout.hints,
    )
    kernel.add_ends(values_FB, layout.points, layout.ends, *_table())
    values_FB[kernel.PLACE - 2], values_FB[kernel.PLACE - 1] = _repeated(page)
    inside = float(weight_B[first:end].sum())
    values_FB[kernel.HEAVY + 2] = inside / max(1e-6, float(weight_B.sum()))
    values_FB[kernel.HEAVY + 3] = np.log1p(inside)
    values_FB[kernel.LOGS] = np.log1p(values_FB[kernel.LOGS])
    values_FB[kernel.LONG_LOGS] = np.log1p(long_LB)
    kernel.add_near(values_FB, page.all_counts[kernel.ENDERS])
    return values_FB, _modules().forest.forest_sums


def with_opinions(page: Page, values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The features [F, B] of a page that `scan` gave, and below them those of a second opinion [F + 8, B]."""
    layout, kernel = page.layout, _modules().choice
    return kernel.with_opinions(values, page.mass, kept, page.place, layout.parent, layout.first, layout.end)


def expected_f1(page: Page, chances: np.ndarray) -> float:
    """`extractor.expected_f1` of a page that `scan` gave."""
    return float(_modules().choice.expected_f1(page.mass, chances))


def chosen(page: Page, chances: np.ndarray, limits: Sequence[float], main_share: float) -> np.ndarray:
    """`extractor.chosen` for a page that `scan` gave; `limits` are the share of F1, the least and the most bar, and the
    bar outside. [B]"""
    layout = page.layout
    given = np.array(limits, np.float32)
    return _modules().choice.chosen(page.mass, chances, layout.first, layout.end, layout.parent, given, main_share)


def common(
    page: Page, low: np.ndarray, high: np.ndarray, limits: Sequence[float], main_share: float
) -> tuple[float, float]:
    """`extractor.common` for a page that `scan` gave; `limits` as for `chosen`."""
    layout, given = page.layout, np.array(limits, np.float32)
    return _modules().choice.common(page.mass, low, high, layout.first, layout.end, layout.parent, given, main_share)


def _repeated(page: Page) -> tuple[np.ndarray | list[int], np.ndarray | list[float]]:
    """`Page.repeated`."""
    title = np.frombuffer(page.title.encode("utf-32-le", "surrogatepass"), np.uint32)
    times, titled, several = _modules().choice.repeated(page.layout.points, page.layout.ends, title, _folds())
    return page.repeated() if several else (times, titled / max(1, len(page.title)))


@kept()
def _folds() -> np.ndarray:
    """What each character below `_FOLDED` becomes without case, 0 where that is several. uint32"""
    folds = [chr(point).casefold() for point in range(_FOLDED)]
    return np.array([ord(fold) if len(fold) == 1 else 0 for fold in folds], np.uint32)


def _modules() -> Loops:
    found = _loaded()
    assert found is not None, "a layout with points was made by compiled loops"
    return found


@cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    kind_of, kinds = character_table()
    return kind_of, kinds.astype(np.int64)
