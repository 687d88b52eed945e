"""The accuracy option: a forest that knows of each block what Resiliparse's rules and Trafilatura keep.

Trafilatura's own rules (its fast mode: the fallbacks to Readability's and jusText's are left out) are right about most
articles and lose much of other pages; the block model is right about these. A forest that sees both learns whom to
believe where. It was trained by `tools/train_extractor.py` like the default's. The headline is kept as well.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .blocks import Layout
from .extractor import MODEL, judge, kept_blocks, values_of, write
from .features import Page, opinions
from .standing import shares
from .trees import Forest, load_forest

BOTH = MODEL.with_name("extractor_accuracy")
_HEADLINE = 0.4
"""Share of the page's title that a headline is, at least. Ours."""


@cache
def load_accuracy() -> Forest:
    """The shipped forest."""
    return load_forest(BOTH)[0]


def kept_by_trafilatura(html: str, texts: list[str]) -> np.ndarray | None:
    """How surely each text stands in what Trafilatura keeps of the page (float32) [B]; None if that is nothing.

    It walks up the tree: ask it about no page that `nesting.too_deep` refuses.
    """
    from trafilatura import extract

    found = extract(html, fast=True, include_comments=False, include_tables=True)
    return shares(texts, found).astype(np.float32) if found else None


def accurate_text(layout: Layout, title: str, rules: np.ndarray, html: str) -> str:
    """The main text of a page, '' if it has none; `rules` are the marks of `second_opinion.kept_by_rules`."""
    if not layout.texts:
        return ""
    page = Page(layout, title)
    values, sums = values_of(page)
    kept = kept_by_trafilatura(html, layout.texts)
    if kept is None:
        chances = judge(page, lambda: rules)
    else:
        inputs = np.concatenate([values, opinions(page, rules), opinions(page, kept)])
        chances = load_accuracy().chances(inputs, sums)
    return write(layout, with_headline(kept_blocks(page, chances), values[load_accuracy().names.index("titled")]))


def with_headline(keep: np.ndarray, titled: np.ndarray) -> np.ndarray:
    """Also keep the headline: the last block up to the first kept one that says as much of the page's title as
    `_HEADLINE`; `titled` is the share that each block says. [B]"""
    found = np.flatnonzero(titled[: int(keep.argmax()) + 1] > _HEADLINE) if keep.any() else ()
    keep = keep.copy()
    if len(found):
        keep[found[-1]] = True
    return keep
