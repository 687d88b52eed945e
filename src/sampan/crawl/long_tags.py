"""Tags with so many attributes that a parser, which compares each with all before it, would take long.

Where a tag ends cannot be told without reading the page from its beginning as a parser does, which takes as long as
all the rest. But a tag of many attributes is long: it covers whole stretches of the page, and each `>` in them stands
in a quoted value. So the first `>` of every stretch is looked at. If there is none, or if a value may have been opened
before it, behind a `=`, and no `>` beyond that value surely ends the tag, then each `<` before it is asked for its
attributes. Such a tag is never missed; a stretch that only looks like one costs a little time.
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
_LOOK = 16
"""Bytes before a quote in which a `=` is looked for."""


def _with_blanks(pattern: bytes) -> bytes:
    """The pattern with HTML's blanks for each `B`; to HTML a vertical tab is a letter of a name."""
    return pattern.replace(b"B", rb" \t\n\r\f")


_NAME, _QUOTED = rb"[B/]*+[^B/>][^B/>=]*+", rb""""[^"]*+"|'[^']*+'"""
_ATTRIBUTE = _with_blanks(rb"""%s(?:[B]*+=[B]*+(?:%s|[^B>"'][^B>]*+)?+)?+""" % (_NAME, _QUOTED))
_CLOSED = _with_blanks(rb"""%s(?:[B]*+=[B]*+(?:%s|(?!["'])[^B>]*+))?+(?![B]*+=[B]*+["'])""" % (_NAME, _QUOTED))
"""An attribute, and no value that is opened and not closed."""
_ATTRIBUTES = re.compile(rb"(?:%s)*+" % _ATTRIBUTE)
_END = re.compile(rb"(?:%s)*+%s>" % (_CLOSED, _with_blanks(rb"[B/]*+")))
PLAIN_ATTRIBUTES = _with_blanks(rb"""(?:[B]++[a-zA-Z][\w:.-]*+(?:=(?:"[^"<>]*+"|'[^'<>]*+'|[^B"'<>=`]++))?+)*+[B]*+""")
"""Of a tag that surely ends at its first `>`."""
_TAG = re.compile(_with_blanks(rb"<[a-zA-Z/][^B/>]*+") + rb"(?!%s/?>)" % PLAIN_ATTRIBUTES.replace(b")*+", b"){0,99}+"))
"""The beginning of a tag that is not plain and short."""


@lru_cache(maxsize=256)
def _run(count: int) -> re.Pattern[bytes]:
    return re.compile(rb"(?:%s){%d}+" % (_ATTRIBUTE, count))


def overlong_tag(data: bytes) -> bool:
    """Whether a tag of the page has more attributes than a page of this size may afford."""
    most = max(_LEAST, min(_MOST, WORK // max(1, len(data)) // 250 * 250))
    step, read, seen = most * _SHORTEST // 2, 0, 0
    last = {b'"': -1, b"'": -1}
    for place in range(step, len(data), step):
        stop = place + step
        end = data.find(b">", place, stop)
        if end >= 0:
            last = {quote: max(found, data.rfind(quote, seen, end)) for quote, found in last.items()}
            seen = end
            if not any(_goes_on(data, quote, found, end, stop) for quote, found in last.items()):
                continue
        read = _read_tags(data, place - step, stop, most, read)
        if read < 0:
            return True
    return False


def _goes_on(data: bytes, quote: bytes, last: int, end: int, stop: int) -> bool:
    """Whether the `>` at `end` may be within a value in this kind of quote, of which the last one before it is at
    `last`, and in a tag that goes on to `stop`."""
    before = data[max(0, last - _LOOK) : max(0, last)]
    told = before.rstrip(b" \t\n\r\f")
    if last < 0 or (told and not told.endswith(b"=")):  # all blanks: who knows what is before them
        return False
    close = data.find(quote, end + 1, stop)
    return close < 0 or not _END.match(data, close + 1, stop)


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
