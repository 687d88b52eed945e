"""The main text of a page: a small tree model judges its blocks, and the kept ones are written as lines.

The model was trained by `tools/train_extractor.py`; `docs/why/extraction.md` says on what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from . import kernels
from .blocks import TAG_NUMBERS, Layout
from .features import Page, features, opinions
from .trees import Forest, Sums, chances_of, load_forest

MODEL = Path(__file__).with_name("models") / "extractor"
ASKED = MODEL.with_name("extractor_asked")
_CELLS = (TAG_NUMBERS["td"], TAG_NUMBERS["th"])
_LEAST, _MOST = 0.2, 0.6
"""The bar of a page stays between these. Ours."""
_MAIN_SHARE = 0.7
"""Share of the text that is likely main text, which the main element holds. Chosen by cross-validation."""


_SWAY, _SETTLED = 1.0, 0.02
"""Log odds by which all that is said of a page may be wrong, and the share of text on which it hardly matters. Chosen
by cross-validation."""

Ask = Callable[[], np.ndarray | None]
"""Gives the marks of a second opinion [B], or None where there is none."""


@dataclass(frozen=True)
class Model:
    """Two forests: of a page's own features, and of these and a second opinion."""

    first: Forest
    asked: Forest
    share: float
    """Share of the F1 expected of a page above whose value a block near the main element is kept."""
    outside: float
    """Probability above which a block elsewhere is kept."""
    sure: float
    """Expected F1 of a page from which on there is no need for a second opinion; below it there is one where it matters
    (`swayed`)."""


@cache
def load_model() -> Model:
    """The shipped model."""
    first, facts = load_forest(MODEL)
    asked, _ = load_forest(ASKED)
    return Model(first, asked, facts["share_of_f1"], facts["threshold_outside"], facts["sure_of_f1"])


def judge(page: Page, ask: Ask | None = None) -> np.ndarray:
    """The probability of each block to belong to the main text [B]; `ask` is called where the page is unclear."""
    model = load_model()
    values, sums = values_of(page)
    scores = model.first.scores(values, sums)
    said = chances_of(scores)
    if ask is None or expected_f1(page, said) >= model.sure or not swayed(page, scores, model.share, model.outside):
        return said
    kept = ask()
    if kept is None:
        return said
    asked = model.asked.chances(with_opinions(page, values, kept), sums)
    return reconsidered(said, asked, kept)


def values_of(page: Page) -> tuple[np.ndarray, Sums | None]:
    """The features of a page [F, B], and what adds up the answers of trees over them: None for numpy."""
    return (features(page)[1], None) if page.layout.points is None else kernels.values_of(page)


def with_opinions(page: Page, values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The features of a page and, below them, those of a second opinion. [F + 8, B]"""
    if page.layout.points is not None:
        return kernels.with_opinions(page, values, kept)
    return np.concatenate([values, opinions(page, kept)])


def reconsidered(said: np.ndarray, asked: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """What is said of blocks with the second opinion, but no less than without it of those that it keeps. [B]"""
    return np.where(kept > 0, np.maximum(said, asked), asked)


def main_text(layout: Layout, title: str, ask: Ask | None = None) -> str:
    """The main text of a page, '' if it has none."""
    if not layout.texts:
        return ""
    page = Page(layout, title)
    return text_of(page, judge(page, ask), load_model().share)


def text_of(page: Page, chances: np.ndarray, share: float) -> str:
    """The text of the blocks that are kept by these probabilities, at `share` of the expected F1."""
    return write(page.layout, with_code(page.layout, chosen(page, chances, share, load_model().outside)))


def expected_f1(page: Page, chances: np.ndarray) -> float:
    """The highest F1 that any bar makes one expect of the page, were the probabilities true."""
    if page.layout.points is not None:
        return kernels.expected_f1(page, chances)
    order = np.argsort(-chances, kind="stable")
    mass = page.mass[order] + 1
    hits = np.cumsum(mass * chances[order])
    return float((2 * hits / (np.cumsum(mass) + hits[-1])).max())


def swayed(page: Page, scores: np.ndarray, share: float, outside: float) -> bool:
    """Whether other text would be kept of a page were all its log odds [B] a little lower, or a little higher."""
    total, both = common(page, chances_of(scores - _SWAY), chances_of(scores + _SWAY), share, outside)
    return 2 * both <= (1 - _SETTLED) * total


def common(page: Page, low: np.ndarray, high: np.ndarray, share: float, outside: float) -> tuple[float, float]:
    """What the choices by two rows of chances weigh together, and what they have in common."""
    if page.layout.points is not None:
        return kernels.common(page, low, high, (share, _LEAST, _MOST, outside), _MAIN_SHARE)
    lower, higher = (chosen(page, chances, share, outside) for chances in (low, high))
    weight = page.mass.astype(np.float64) + 1
    return float(weight[lower].sum() + weight[higher].sum()), float(weight[lower & higher].sum())


def bar(page: Page, chances: np.ndarray, share: float) -> float:
    """The probability above which a block is kept: `share` of the expected F1.

    Half of it would be right if probabilities were (Lipton et al., 2014, arXiv:1402.1892): a clear page is judged more
    strictly than one of which little is sure.
    """
    return float(np.clip(share * expected_f1(page, chances), _LEAST, _MOST))


def chosen(page: Page, chances: np.ndarray, share: float, outside: float) -> np.ndarray:
    """Which blocks are kept: above the page's `bar` near the main element, above `outside` elsewhere. [B]

    The main element is the one with the fewest blocks that holds most of what is likely main text, and what its parent
    holds is near it: what looks like text but stands apart from the rest is a teaser, a notice or a comment.
    """
    layout = page.layout
    if layout.points is not None:
        return kernels.chosen(page, chances, (share, _LEAST, _MOST, outside), _MAIN_SHARE)
    likely = chances > bar(page, chances, share)
    running = np.concatenate([[0.0], np.cumsum(page.mass * chances * likely)])
    holding = np.flatnonzero(running[layout.end] - running[layout.first] >= _MAIN_SHARE * running[-1])
    near = layout.parent[holding[(layout.end - layout.first)[holding].argmin()]]
    likely[: layout.first[near]] = chances[: layout.first[near]] > outside
    likely[layout.end[near] :] = chances[layout.end[near] :] > outside
    return likely


def with_code(layout: Layout, keep: np.ndarray) -> np.ndarray:
    """Also keep preformatted text that stands beside mostly kept text: code looks like nothing else."""
    if TAG_NUMBERS["pre"] not in layout.tag:
        return keep
    code = layout.tag[layout.place] == TAG_NUMBERS["pre"]
    around = layout.parent[layout.place]
    kept, others = (np.concatenate([[0], np.cumsum(flags)]) for flags in (keep & ~code, ~code))
    beside = [sums[layout.end[around]] - sums[layout.first[around]] for sums in (kept, others)]
    return keep | (code & (2 * beside[0] > beside[1]))


def write(layout: Layout, keep: np.ndarray) -> str:
    """The blocks that are kept as text: a paragraph a line, list items after a dash, the cells of a table row on one
    line."""
    lines: list[str] = []
    row_before = -1
    blocks = np.flatnonzero(keep)
    place = layout.place[blocks]
    around = (blocks, layout.tag[place], layout.parent[place], layout.first[place], layout.end[place])
    for block, tag, parent, first, end in zip(*(each.tolist() for each in around), strict=True):
        text = layout.texts[block]
        row = parent if tag in _CELLS and end - first == 1 else -1
        if row >= 0 and row == row_before and "\n" not in text:
            lines[-1] += " | " + text
        elif tag == TAG_NUMBERS["li"] and first == block:
            lines.append("- " + text)
        else:
            lines.append(text)
        row_before = row
    return "\n".join(lines)
