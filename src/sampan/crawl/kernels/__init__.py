"""Optional compiled loops for reading pages: from a written-out page to the probabilities of its blocks.

They come with the extra `sampan[kernels]` (numba) and give what `blocks`, `features` and `trees` give, bit for bit;
pages that they do not read (tags that close what was never opened, class names after letters that need Unicode's
tables) are left to those.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import ModuleType

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


def loops(pages: int = 1) -> tuple[ModuleType, ModuleType, ModuleType, ModuleType] | None:
    """The modules that scan pages, describe blocks, find words and choose blocks, once this process has been asked for
    WORTH pages; None before, and without numba. `pages` are those of this call."""
    global _pages
    _pages += pages
    return _loaded() if _pages >= WORTH else None


@cache
def _loaded() -> tuple[ModuleType, ModuleType, ModuleType, ModuleType] | None:
    scan = load_compiled("sampan.crawl.kernels.page_scan")
    describe = load_compiled("sampan.crawl.kernels.page_features")
    words = load_compiled("sampan.crawl.kernels.words")
    choice = load_compiled("sampan.crawl.kernels.choice")
    return (scan, describe, words, choice) if scan and describe and words and choice else None


class Source:
    """The source of a page, in which words of plain letters are looked for."""

    def __init__(self, html: str) -> None:
        self.html = html
        found = loops(pages=0)
        self._find = found[2].find_word if found else None
        self._encoded = html.encode("utf-8", "surrogatepass") if found else b""
        self._codes = np.frombuffer(self._encoded, np.uint8)

    def find(self, word: str) -> int:
        """As `str.find`."""
        if self._find is None:
            return self.html.find(word)
        place = self._place(word)
        return place - int(np.count_nonzero((self._codes[: max(0, place)] & 0xC0) == 0x80))

    def before(self, word: str, limit: int) -> str:
        """The source up to the word, or up to `limit` characters where it is not among those."""
        if self._find is None:
            end = self.html.find(word)
            return self.html[: end if 0 <= end < limit else limit]
        end = self._place(word)
        found = self._encoded[:end].decode("utf-8", "surrogatepass") if 0 <= end < 4 * limit else None
        return found if found is not None and len(found) < limit else self.html[:limit]

    def _place(self, word: str) -> int:
        return self._find(self._codes, np.frombuffer(word.encode("ascii"), np.uint8))


def scan(body: str) -> blocks.Layout | None:
    """`blocks.scan` of the body; None if it is left to that."""
    found = loops()
    if found is None:
        return None
    body, cut = blocks.within_limits(body)
    points, blocks_B5, elements, odd = found[0].scan_bytes(np.frombuffer(body.encode(), np.uint8), blocks.MAX_BLOCKS)
    hints_E = elements[5]
    if odd or (hints_E < 0).any():
        return None
    ends_B = np.ascontiguousarray(blocks_B5[:, 0])
    text, texts, start = points.tobytes().decode("utf-32-le"), [], 0
    for end in ends_B.tolist():
        texts.append(text[start:end])
        start = end
    return blocks.Layout(
        texts=texts,
        links=blocks_B5[:, 1],
        linked=(blocks_B5[:, 3] / blocks_B5[:, 2]).astype(np.float32),
        place=blocks_B5[:, 4],
        parent=elements[2],
        tag=elements[0],
        hints=hints_E,
        depth=elements[1],
        first=elements[3],
        end=elements[4],
        cut=cut or len(texts) >= blocks.MAX_BLOCKS,
        points=points,
        ends=ends_B,
        counts=found[1].count_points(points, ends_B, *_table()),
    )


def values_of(page: Page) -> tuple[np.ndarray, Sums]:
    """The features [F, B] of a page that `scan` gave, and the loop that adds up what trees say of them."""
    kernel, layout = _modules()[1], page.layout
    values_FB, long_LB, weight_B, first, end = kernel.describe(
        page.all_counts,
        layout.linked,
        np.ascontiguousarray(layout.links),
        np.ascontiguousarray(layout.place),
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
    return values_FB, kernel.forest_sums


def chosen(page: Page, chances: np.ndarray, limits: Sequence[float], main_share: float) -> np.ndarray:
    """`extractor.chosen` for a page that `scan` gave; `limits` are the share of F1, the least and the most bar, and the
    bar outside. [B]"""
    layout = page.layout
    given = np.array(limits, np.float32)
    return _modules()[3].chosen(page.mass, chances, layout.first, layout.end, layout.parent, given, main_share)


def _repeated(page: Page) -> tuple[np.ndarray | list[int], np.ndarray | list[float]]:
    """`Page.repeated`."""
    title = np.frombuffer(page.title.encode("utf-32-le", "surrogatepass"), np.uint32)
    times, titled, several = _modules()[3].repeated(page.layout.points, page.layout.ends, title, _folds())
    return page.repeated() if several else (times, titled / max(1, len(page.title)))


@kept()
def _folds() -> np.ndarray:
    """What each character below `_FOLDED` becomes without case, 0 where that is several. uint32"""
    folds = [chr(point).casefold() for point in range(_FOLDED)]
    return np.array([ord(fold) if len(fold) == 1 else 0 for fold in folds], np.uint32)


def _modules() -> tuple[ModuleType, ModuleType, ModuleType, ModuleType]:
    found = _loaded()
    assert found is not None, "a layout with points was made by compiled loops"
    return found


@cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    kind_of, kinds = character_table()
    return kind_of, kinds.astype(np.int64)
