"""The main text of a page: a small tree model judges its blocks, and the kept ones are written as lines.

The model was trained by `tools/train_extractor.py`; `docs/why/extraction.md` says on what.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from .blocks import TAG_NUMBERS, Layout
from .features import Page, features
from .trees import Forest, load_forest

MODEL = Path(__file__).with_name("models") / "extractor"
_CELLS = (TAG_NUMBERS["td"], TAG_NUMBERS["th"])


@cache
def load_model() -> tuple[Forest, float]:
    """The shipped forest, and the probability above which a block is kept."""
    forest, facts = load_forest(MODEL)
    return forest, facts["threshold"]


def judge(layout: Layout, title: str) -> np.ndarray:
    """The probability of each block to belong to the main text. [B]"""
    forest, _ = load_model()
    _, values = features(Page(layout, title))
    return forest.chances(values)


def main_text(layout: Layout, title: str) -> str:
    """The main text of a page, '' if it has none."""
    if not layout.texts:
        return ""
    keep = with_code(layout, judge(layout, title) > load_model()[1])
    return write(layout, np.flatnonzero(keep).tolist())


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
