"""ARC records: Common Crawl before 2013, and the Internet Archive before WARC.

A record is a line `URL IP date type [code checksum location offset file] length` and a block of that length (the
Internet Archive's ARC 1 and 2). FastWARC does not read ARC, and warcio gives up a file at its first bad line.
"""

from __future__ import annotations

import re

from .record import Format, Reader, Record
from .warc_records import declared_length

_LINE = rb"([A-Za-z][A-Za-z0-9+.-]{0,40}:[^\n]{1,4000}?) (\S{1,64}) (\d{12,20}) ([^\n]{0,4000}) (-?\w{1,20})\r?\n"
START = re.compile(_LINE)
MARK = re.compile(rb"\n(" + _LINE + rb")")
MAX_LINE = 9 << 10


def looks_like_arc(data: bytes) -> bool:
    return START.match(data) is not None


def _head(reader: Reader) -> tuple[Record, int]:
    line = reader.line(MAX_LINE)
    match = START.fullmatch(line) if line else None
    if not match:
        return Record("unknown", problem="not_a_record"), -1
    url, _, date, kind, declared = (part.decode("utf-8", errors="replace") for part in match.groups())
    headers = {"warc-date": _iso(date), "arc-type": kind.partition(" ")[0]}
    record = Record("warcinfo" if url.startswith("filedesc:") else "response", url, headers)
    return record, declared_length(declared)


def _ends_here(reader: Reader) -> bool:
    after = reader.peek(MAX_LINE)
    return not after.strip(b"\r\n") or (after[:1] in (b"\n", b"\r") and bool(START.match(after.lstrip(b"\r\n"))))


def _iso(date: str) -> str:
    """`2014-02-16T05:02:21Z` of `20140216050221`; shorter and longer dates as far as they go."""
    date = f"{date[:14]:0<14}"
    return f"{date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:14]}Z"


ARC = Format(mark=MARK, looks=looks_like_arc, head=_head, ends_here=_ends_here)
