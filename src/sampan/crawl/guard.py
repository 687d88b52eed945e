"""Pages that would take a parser or an extractor minutes: told by what stands in them, before they are parsed.

Time grows with the square of four things, which honest pages have little of: elements inside each other (`nesting`),
formatting elements that stay open (`open_formatting`), attributes of one tag (`long_tags`) and options of one list.
Each is counted, and a clock is never asked, so that the same page is always judged alike. The counts are upper bounds
of what a parser does: what a comment or a script hides may make a page look worse than it is, and never better.
"""

from __future__ import annotations

import re

from .kernels import count_tags
from .long_tags import overlong_tag
from .nesting import MAX_DEPTH, Overwork, nested_too_deep
from .open_formatting import reopened

MAX_TAGS = 300_000
"""Tags in a page. Ours: a tree of so many takes about a second and 150 MB; a long real page has twenty thousand."""
MAX_REOPENED = 500_000
"""Formatting elements that a parser may have to open again in later blocks. Ours: about 1.7 seconds and 270 MB."""
MAX_OPTIONS = 12_000
"""Options in a page: each is compared with all before it in its list. Ours: about 0.9 seconds."""
_OPTION = re.compile(rb"<option", re.IGNORECASE)


def overwork(html: str, data: bytes | None = None) -> str:
    """Why a page is not parsed: `too_many_tags`, `too_deep`, `tangled_markup`, `too_many_options`,
    `too_many_attributes`, or "" for one that is. `data` is `html` in UTF-8, in which bytes are counted ten times as
    fast as characters."""
    import numpy as np

    data = html.encode("utf-8", "surrogatepass") if data is None else data
    tags, ends = count_tags(data) or (data.count(b"<"), data.count(b"</"))
    if tags > MAX_TAGS:
        return "too_many_tags"
    opens = tags - ends
    if opens * opens > 4 * MAX_REOPENED:
        places_T = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("<"))
        if reopened(data, places_T, opens, MAX_REOPENED):
            return "tangled_markup"
    if opens > MAX_OPTIONS and sum(1 for _ in _OPTION.finditer(data)) > MAX_OPTIONS:
        return "too_many_options"
    if overlong_tag(data):
        return "too_many_attributes"
    return "too_deep" if opens > MAX_DEPTH and nested_too_deep(html) else ""


__all__ = ["MAX_TAGS", "Overwork", "overwork"]
