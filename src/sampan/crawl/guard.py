"""Pages that would take an extractor hours: told by their tags alone, before anything is parsed.

The time of a parse tree's readers grows with the square of its depth: ten thousand nested tags take seconds, a hundred
thousand hours. Browsers stop nesting at 512.
"""

from __future__ import annotations

import re

MAX_DEPTH = 2000
"""Elements inside each other. Ours: four times what browsers nest, and still some hundredths of a second."""
MAX_TAGS = 300_000
"""Tags in a page. Ours: a tree of so many takes about a second and 150 MB; a long real page has twenty thousand."""
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)")
_NO_CHILDREN = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
        "p",
        "li",
        "dt",
        "dd",
        "option",
        "tr",
        "td",
        "th",
    ]
)
"""Elements that are empty, or that the next of their kind closes."""


def overwork(html: str) -> str:
    """Why a page is not parsed, as far as tags tell: `too_many_tags`, `too_deep`, or "" for one that is."""
    tags = html.count("<")
    if tags > MAX_TAGS:
        return "too_many_tags"
    if tags - html.count("</") <= MAX_DEPTH:  # so few begin an element that they cannot nest deeper
        return ""
    depth = 0
    for closing, name in _TAG.findall(html):
        if name.lower() in _NO_CHILDREN:
            continue
        depth = max(0, depth - 1) if closing else depth + 1
        if depth > MAX_DEPTH:
            return "too_deep"
    return ""
