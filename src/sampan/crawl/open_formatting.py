"""How often formatting elements that stay open would be opened again.

HTML's parser remembers each `<b id=1>` that was not closed in its own block and opens it anew in every later one (the
"active formatting elements" of the HTML standard, 13.2.4.3): a thousand of them and a thousand paragraphs are a
million elements, out of twenty kilobytes. Of equal ones it remembers three.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

from .long_tags import PLAIN_ATTRIBUTES

_NAMES = "b|big|code|em|font|i|s|small|strike|strong|tt|u"
"""Not `a` and `nobr`, of which a new one ends the one before."""
_EQUAL = 3
_BEGIN = re.compile(rf"<(?:{_NAMES})[\s/>][^>]*+".encode(), re.IGNORECASE)
_PLAIN = re.compile(rb"<\w++%s/?" % PLAIN_ATTRIBUTES)
"""A tag that surely ends at its first `>`."""
_CLOSED = re.compile(rb"<(%s|a|span)%s>(?:[^<]++|<br ?/?>)*+</\1>" % (_NAMES.encode(), PLAIN_ATTRIBUTES), re.IGNORECASE)
"""An element that is surely closed, wherever it stands: only text is between its two tags."""
_MOST_ROUNDS = 8


def reopened(data: bytes, places_T: Any, opens: int, most: int) -> bool:
    """Whether more than `most` elements may have to be opened again in the page `data` (UTF-8), whose tags begin at
    `places_T` and of which `opens` are no end tags. Estimates from cheap to exact, each an upper bound."""
    import numpy as np

    codes = np.frombuffer(data + b"\0\0", np.uint8)
    pairs_T = codes[places_T + 1].astype(np.uint16) << 8 | codes[places_T + 2]
    if int(np.count_nonzero(_beginnings()[pairs_T])) * opens <= most:
        return False
    if _remembered(data) * opens <= most:
        return False
    for _ in range(_MOST_ROUNDS):  # of elements in each other the innermost go first
        data, found = _CLOSED.subn(b"", data)
        if _remembered(data) * opens <= most:
            return False
        if not found:
            break
    return True


def _remembered(data: bytes) -> int:
    """The most formatting elements that can be open at once."""
    found = Counter(_BEGIN.findall(data))
    return sum(min(times, _EQUAL) if _PLAIN.fullmatch(tag) else times for tag, times in found.items())


@cache
def _beginnings() -> Any:
    """By two bytes after a `<` whether a formatting element may begin so. [65536] bool"""
    import numpy as np

    table = np.zeros(1 << 16, bool)
    for name in _NAMES.split("|"):
        for second in " \t\n\r\f/\v>" if len(name) == 1 else name[1]:
            for pair in {a + b for a in (name[0], name[0].upper()) for b in (second, second.upper())}:
                table[ord(pair[0]) << 8 | ord(pair[1])] = True
    return table
