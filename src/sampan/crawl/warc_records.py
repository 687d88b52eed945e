"""WARC records: lenient about headers.

Format: ISO 28500 (WARC 1.0 and 1.1), with the bare line ends and odd headers of ClueWeb's 0.18.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .record import Format, Reader, Record

MAX_HEAD = 64 << 10
"""Longer headers are no headers."""
MARK = re.compile(rb"(WARC/[01]\.\d{1,2}\r?\n[A-Za-z])")
START = re.compile(rb"WARC/[01]\.\d{1,2}\r?\n")
_ENDS = (b"\r\n\r\n", b"\n\n")


def looks_like_warc(data: bytes) -> bool:
    return START.match(data) is not None


def _head(reader: Reader) -> tuple[Record, int]:
    if not START.match(reader.peek(16)):
        return Record("unknown", problem="not_a_record"), -1
    head = reader.head(MAX_HEAD)
    if head is None:
        reader.take(len(b"WARC/"))  # so that it is not found again
        return Record("unknown", problem="bad_header"), -1
    headers = parse_headers(head)
    declared = headers.get("content-length", "")
    record = Record(
        headers.get("warc-type", "unknown").lower(), headers.get("warc-target-uri", "").strip("<>"), headers
    )
    return record, declared_length(declared)


def declared_length(text: str) -> int:
    """The length that a header declares, -1 if it is none. No file has more bytes than fifteen digits tell."""
    return int(text) if len(text) <= 15 and text.isascii() and text.isdigit() else -1


def _ends_here(reader: Reader) -> bool:
    """Whether the block is over: nothing follows, or the two line ends, or another record."""
    after = reader.peek(32)
    rest = after.lstrip(b"\r\n")
    return not rest or after.startswith(_ENDS) or START.match(rest) is not None


def parse_headers(head: bytes) -> Mapping[str, str]:
    """Header lines by lower-case name, the first of equal ones; lines that are none, and the first line, are left
    out."""
    found: dict[str, str] = {}
    name = ""
    for line in head.decode("utf-8", errors="replace").splitlines()[1:]:
        if line[:1] in (" ", "\t") and name:
            found[name] += " " + line.strip()
            continue
        key, colon, value = line.partition(":")
        if colon:
            name = key.strip().lower()
            found.setdefault(name, value.strip())
    return found


WARC = Format(mark=MARK, looks=looks_like_warc, head=_head, ends_here=_ends_here)
