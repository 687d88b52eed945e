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
_TAG = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9:-]*+)")
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
_MAX_NAMES = 10_000


class _Steps(dict[str, int]):
    """Of a tag's name how much deeper what follows is; each way of writing it is looked at once."""

    def __missing__(self, name: str) -> int:
        closing, plain = name.startswith("/"), name.lower().lstrip("/")
        step = 0 if plain in _NO_CHILDREN else -1 if closing else 1
        if len(self) < _MAX_NAMES:
            self[name] = step
        return step


_STEPS = _Steps()


def overwork(html: str, data: bytes | None = None) -> str:
    """Why a page is not parsed, as far as tags tell: `too_many_tags`, `too_deep`, or "" for one that is. `data` is
    `html` in UTF-8, in which tags are counted ten times as fast."""
    import numpy as np

    codes = np.frombuffer(html.encode("utf-8", "surrogatepass") if data is None else data, np.uint8)
    begins = codes == ord("<")
    tags = int(np.count_nonzero(begins))
    if tags > MAX_TAGS:
        return "too_many_tags"
    if tags <= MAX_DEPTH or tags - np.count_nonzero(begins[:-1] & (codes[1:] == ord("/"))) <= MAX_DEPTH:
        return ""  # so few begin an element that they cannot nest deeper
    names = _TAG.findall(html)
    depth = np.cumsum(np.fromiter(map(_STEPS.__getitem__, names), np.int64, len(names)))
    # end tags without a beginning are passed over: the depth is counted from the lowest sum so far, at most 0
    return "too_deep" if (depth - np.minimum.accumulate(np.minimum(depth, 0))).max(initial=0) > MAX_DEPTH else ""
