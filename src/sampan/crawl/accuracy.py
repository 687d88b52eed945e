"""The accuracy option: a forest that knows of each block what Resiliparse's rules, Trafilatura and Readability keep.

Trafilatura's own rules (its fast mode) are right about most articles and lose much of other pages; the block model is
right about these. Readability's rules, of which Trafilatura brings a version, are a third view. A forest that sees all
of them learns whom to believe where. It was trained by `tools/train_extractor.py` like the default's.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np

from .blocks import Layout
from .extractor import MODEL, judge, load_model, text_of, values_of
from .features import Page, opinions
from .standing import shares
from .trees import Forest, load_forest

ACCURACY = MODEL.with_name("extractor_accuracy")
_UNREAD = frozenset(["script", "style"])
_PARTS = frozenset(["p", "div", "li", "td", "br", "h1", "h2", "h3", "h4", "tr", "ul", "table", "blockquote", "pre"])


@cache
def load_accuracy() -> tuple[Forest, float]:
    """The shipped forest, and the share of the expected F1 that is a page's bar."""
    forest, facts = load_forest(ACCURACY)
    return forest, facts["share_of_f1"]


def kept_by_others(html: str, texts: list[str]) -> list[np.ndarray] | None:
    """How surely each text stands in what Trafilatura and Readability keep of the page (float32) [B] each; None if
    Trafilatura keeps nothing.

    Both walk up the tree: ask them about no page that `nesting.too_deep` refuses.
    """
    from trafilatura import extract
    from trafilatura.external import try_readability
    from trafilatura.utils import load_html

    tree = load_html(html)
    if tree is None:
        return None
    read = _lines(try_readability(deepcopy(tree)))
    found = extract(tree, fast=True, include_comments=False, include_tables=True)
    return [shares(texts, kept).astype(np.float32) for kept in (found, read)] if found else None


def accurate_text(layout: Layout, title: str, rules: np.ndarray, html: str) -> str:
    """The main text of a page, '' if it has none; `rules` are the marks of `second_opinion.kept_by_rules`."""
    if not layout.texts:
        return ""
    page = Page(layout, title)
    others = kept_by_others(html, layout.texts)
    if others is None:
        return text_of(page, judge(page, lambda: rules), load_model().share)
    values, sums = values_of(page)
    forest, share = load_accuracy()
    inputs = np.concatenate([values, *(opinions(page, kept) for kept in (rules, *others))])
    return text_of(page, forest.chances(inputs, sums), share)


def _lines(root: Any) -> str:
    """The text of an lxml tree, with a line for each block."""
    parts: list[str] = []
    for element in root.iter():
        if isinstance(element.tag, str) and element.tag not in _UNREAD:
            parts += (element.text or "", "\n" * (element.tag in _PARTS))
        parts.append(element.tail or "")
    return "".join(parts)
