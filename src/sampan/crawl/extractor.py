"""The main text of a page: a small tree model judges its blocks, and the kept ones are written as lines.

The model was trained by `tools/train_extractor.py`; `docs/why/extraction.md` says on what.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from . import kernels
from .blocks import TAG_NUMBERS, Layout
from .features import Page, features
from .trees import Forest, load_forest

MODEL = Path(__file__).with_name("models") / "extractor"
_CELLS = (TAG_NUMBERS["td"], TAG_NUMBERS["th"])
_LEAST, _MOST = 0.2, 0.6
"""The bar of a page stays between these. Ours."""
_MAIN_SHARE = 0.7
"""Share of the text that is likely main text, which the main element holds. Chosen by cross-validation."""


@cache
def load_model() -> tuple[Forest, float, float]:
    """The shipped forest; the share of the F1 expected of a page above which a block is kept; and the probability
    above which one outside the main element is."""
    forest, facts = load_forest(MODEL)
    return forest, facts["share_of_f1"], facts["threshold_outside"]


def judge(page: Page) -> np.ndarray:
    """The probability of each block to belong to the main text. [B]"""
    forest = load_model()[0]
    if page.layout.points is not None:
        return kernels.chances(page, forest)
    return forest.chances(features(page)[1])


def main_text(layout: Layout, title: str) -> str:
    """The main text of a page, '' if it has none."""
    if not layout.texts:
        return ""
    page = Page(layout, title)
    keep = with_code(layout, chosen(page, judge(page), *load_model()[1:]))
    return write(layout, np.flatnonzero(keep).tolist())


def bar(page: Page, chances: np.ndarray, share: float) -> float:
    """The probability above which a block is kept: `share` of the highest F1 that any bar makes one expect.

    Half of it would be right if probabilities were (Lipton et al., 2014, arXiv:1402.1892): a clear page is judged more
    strictly than one of which little is sure.
    """
    order = np.argsort(-chances, kind="stable")
    mass = page.mass[order] + 1
    hits = np.cumsum(mass * chances[order])
    best = (2 * hits / (np.cumsum(mass) + hits[-1])).max()
    return float(np.clip(share * best, _LEAST, _MOST))


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
    code = layout.tag[layout.place] == TAG_NUMBERS["pre"]
    if not code.any():
        return keep
    around = layout.parent[layout.place]
    kept, others = (np.concatenate([[0], np.cumsum(flags)]) for flags in (keep & ~code, ~code))
    beside = [sums[layout.end[around]] - sums[layout.first[around]] for sums in (kept, others)]
    return keep | (code & (2 * beside[0] > beside[1]))


def write(layout: Layout, blocks: list[int]) -> str:
    """Blocks as text: a paragraph a line, list items after a dash, the cells of a table row on one line."""
    lines: list[str] = []
    row_before = -1
    for block in blocks:
        text, place = layout.texts[block], int(layout.place[block])
        tag = layout.tag[place]
        row = int(layout.parent[place]) if tag in _CELLS and layout.end[place] - layout.first[place] == 1 else -1
        if row >= 0 and row == row_before and "\n" not in text:
            lines[-1] += " | " + text
        elif tag == TAG_NUMBERS["li"] and layout.first[place] == block:
            lines.append("- " + text)
        else:
            lines.append(text)
        row_before = row
    return "\n".join(lines)
