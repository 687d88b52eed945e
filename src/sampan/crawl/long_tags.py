"""Tags with so many attributes that a parser, which compares each with all before it, would take long.

Where a tag ends cannot be told without reading the page from its beginning as a parser does, which takes as long as
all the rest. But a tag of many attributes is long, and each `>` in it stands in quotes: so the first `>` of every
stretch of the page is looked at. If there is none, or if a quote and several attributes follow it, then each `<` before
it is asked for its attributes.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .kernels import codes_of, loops

WORK = 11_000_000_000
"""A page's bytes times the attributes that one of its tags may have. Ours: about three seconds."""
_LEAST, _MOST = 1000, 20_000
"""Bounds of the attributes of a tag. Ours: twenty thousand take 0.8 seconds."""
_SHORTEST = 3
"""Bytes of an attribute, of ten thousand with names of their own."""
_SEVERAL, _WIDTH = 16, 64
"""Attributes that have to follow a `>` in quotes, and the bytes each may take."""
_ATTRIBUTE = rb"""[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+"""
_ATTRIBUTES = re.compile(rb"(?:%s)*+" % _ATTRIBUTE)
_FOLLOW = re.compile(rb"[^\"'>]{0,256}+[\"'](?:%s){%d}+" % (_ATTRIBUTE, _SEVERAL))
PLAIN_ATTRIBUTES = rb"""(?:\s++[a-zA-Z][\w:.-]*+(?:=(?:"[^"<>]*+"|'[^'<>]*+'|[^\s"'<>=`]++))?+)*+\s*+"""
"""Of a tag that surely ends at its first `>`."""
_TAG = re.compile(rb"<[a-zA-Z/][^\s/>]*+(?!%s/?>)" % PLAIN_ATTRIBUTES.replace(b")*+", b"){0,99}+"))
"""The beginning of a tag that is not plain and short."""


@lru_cache(maxsize=256)
def _run(count: int) -> re.Pattern[bytes]:
    return re.compile(rb"(?:%s){%d}+" % (_ATTRIBUTE, count))


def overlong_tag(data: bytes) -> bool:
    """Whether a tag of the page has more attributes than a page of this size may afford."""
    most = max(_LEAST, min(_MOST, WORK // max(1, len(data)) // 250 * 250))
    step, read = most * _SHORTEST // 2, 0
    for place in range(step, len(data), step):
        end = data.find(b">", place, place + step)
        if end >= 0 and not _FOLLOW.match(data, end + 1, end + _SEVERAL * _WIDTH):
            continue
        read = _read_tags(data, place - step, place + step, most, read)
        if read < 0:
            return True
    return False


def _read_tags(data: bytes, start: int, stop: int, most: int, read: int) -> int:
    """`read` and the bytes of the attributes of all tags that begin in data[start:stop] and are not plain; -1 if one is
    overlong, or if they are tags within tags, again and again: in no honest page."""
    limit, least_size = 8 * len(data), most * (_SHORTEST - 1)
    if found := loops(pages=0):
        codes = codes_of(data)
        return found.attributes.read_tags(codes, start, min(stop, len(data)), most, least_size, read, limit)
    for tag in _TAG.finditer(data, start, stop):
        attributes = _ATTRIBUTES.match(data, tag.end())
        size = attributes.end() - tag.end() if attributes else 0
        read += size
        if read > limit or (size >= least_size and _run(most).match(data, tag.end())):
            return -1
    return read
