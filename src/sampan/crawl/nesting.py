"""How deep the elements of a page stand inside each other, read from what the parser wrote out.

A parser looks through the open elements for most tags it meets, and readers of its tree walk up it for most elements:
both take time in proportion to the sum of all depths. Only the parser knows which end tag closes what, so that a page
of many tags is parsed by growing beginnings of it, each of which is checked before the next.
"""

from __future__ import annotations

import re
from itertools import islice

MAX_DEPTH = 2000
"""Elements inside each other. Ours: four times what browsers nest, and still some hundredths of a second."""
MAX_TOTAL_DEPTH = 20_000_000
"""Sum of the depths of all elements. Ours: resiliparse's rules take a second for 25 million."""
_FEW = 40_000
"""Tags that are parsed without a look at a beginning: at the worst (half of them nested) they take 0.6 seconds."""
_STEP = 20_000
_TAG = re.compile(r"<(/?[a-zA-Z][^\s>/]*+)")
_HIDDEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|iframe|textarea|title|xmp|noembed|noframes|plaintext)(?=[\s>]).*?(?:</\1>|\Z)",
    re.DOTALL,
)
"""Where a `<` that is written out may begin no tag."""
_EMPTY = re.compile(
    "area|base|basefont|bgsound|br|col|embed|frame|hr|img|input|keygen|link|meta|param|source|track|wbr"
)


class Overwork(Exception):
    """A page that is given up; the argument is the reason."""


def too_deep(written: str, begins: int | None = None) -> bool:
    """Whether the elements of a parsed page, written out again, are nested too deep or too deep in all. `begins` are
    the tags in it that begin an element, if they are known."""
    if (written.count("<") - written.count("</") if begins is None else begins) <= MAX_DEPTH:
        return False  # they are too few to nest deeper
    import numpy as np

    names = _TAG.findall(_HIDDEN.sub("", written))
    steps = np.fromiter((-1 if n[0] == "/" else 0 if _EMPTY.fullmatch(n) else 1 for n in names), np.int64, len(names))
    depth = np.cumsum(steps)
    return bool(depth.max(initial=0) > MAX_DEPTH or depth[steps >= 0].sum() > MAX_TOTAL_DEPTH)


def nested_too_deep(html: str) -> bool:
    """Whether a page or a beginning of it is nested too deep."""
    from resiliparse.parse.html import HTMLTree

    places = (found.start() for found in islice(re.finditer("<", html), _FEW, None, _STEP))
    bodies = (HTMLTree.parse(html[:place]).body for place in (*places, len(html)))
    return any(body is not None and too_deep(body.html) for body in bodies)
