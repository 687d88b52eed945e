"""The main text of a page: a small tree model judges its blocks, twice; the kept ones are written as lines.

The first forest sees a block's own numbers and where it stands; the second also sees what the first said about the
blocks before, after and around it, which is how single lines inside an article are kept and lone ones outside dropped.
Both were trained by `tools/train_extractor.py`; `docs/why/extraction.md` says on what.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from .blocks import TAG_NUMBERS, Layout
from .features import Page, first_features, second_features
from .trees import Forest, load_forests

MODEL = Path(__file__).with_name("models") / "extractor"
_CELLS = (TAG_NUMBERS["td"], TAG_NUMBERS["th"])


@cache
def _model() -> tuple[Forest, Forest, float]:
    forests, facts = load_forests(MODEL)
    return forests["first"], forests["second"], facts["threshold"]


def judge(layout: Layout, title: str) -> np.ndarray:
    """The probability of each block to belong to the main text. [B]"""
    first, second, _ = _model()
    page = Page(layout, title)
    _, values = first_features(page)
    _, more = second_features(page, first.chances(values))
    return second.chances(np.concatenate([values, more]))


def main_text(layout: Layout, title: str) -> str:
    """The main text of a page, '' if it has none."""
    if not layout.texts:
        return ""
    keep = judge(layout, title) > _model()[2]
    return write(layout, np.flatnonzero(keep).tolist())


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
