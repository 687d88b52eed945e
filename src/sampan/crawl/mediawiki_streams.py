"""Multistream dumps: bzip2 streams of a hundred pages each, between one that holds the site and one that ends the file.

Streams are unpacked apart, so that many workers read one dump, and damage costs the pages of one stream only.
Format: https://meta.wikimedia.org/wiki/Data_dumps/Dump_format#Multistream
"""

from __future__ import annotations

import bz2
import os
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from .mediawiki_pages import CHUNK, Broken, Page, PageReader, Refused, Site

_BEGIN = re.compile(rb"BZh[1-9]1AY&SY")
_MARK_BYTES = 10
_HEAD_BYTES = 1 << 20
"""Packed bytes in which the site must be told."""


def stream_spans(file: Path, job_bytes: int) -> list[tuple[int, int]]:
    """Spans of bytes (first, end) of about `job_bytes`; together, the streams that begin in them hold all pages. None
    for a file that is not larger, or is no multistream dump."""
    size = file.stat().st_size
    if file.suffix != ".bz2" or size <= job_bytes:
        return []
    with open(file, "rb") as raw:
        data = raw.read(_HEAD_BYTES)
    head = bz2.BZ2Decompressor()
    try:
        site = head.decompress(data, max_length=_HEAD_BYTES)
        page = bz2.BZ2Decompressor().decompress(head.unused_data, max_length=CHUNK) if head.eof else b""
    except OSError:
        return []
    if b"<page" in site or not page.lstrip().startswith(b"<page"):
        return []
    first = len(data) - len(head.unused_data)
    return [(start, min(start + job_bytes, size)) for start in range(first, size, job_bytes)]


def read_streams(file: Path, site: Site, max_bytes: int, broken: Broken, span: Sequence[int]) -> Iterator[Page]:
    """Pages of the streams that begin in a span; `site` is filled in before the first, and `broken` told of each stream
    that cannot be read to its end."""
    with open(file, "rb") as raw:
        _read_site(raw, site)
        place = _next_stream(raw, span[0])
        while place is not None and place < span[1]:
            reader = PageReader(Site(), max_bytes)
            reader.parser.Parse(b"<mediawiki>")
            place, reason = yield from _read_stream(raw, place, reader)
            if reason:
                broken(reason)


def _read_site(raw: BinaryIO, site: Site) -> None:
    raw.seek(0)
    head = bz2.BZ2Decompressor().decompress(raw.read(_HEAD_BYTES), max_length=_HEAD_BYTES)
    PageReader(site, _HEAD_BYTES).parser.Parse(head)


def _read_stream(raw: BinaryIO, place: int, reader: PageReader) -> Generator[Page, None, tuple[int | None, str]]:
    """The pages of the stream at `place`; returns where the next one begins, if there is one, and what was wrong."""
    raw.seek(place)
    unpacker, taken, data = bz2.BZ2Decompressor(), 0, b""
    while not unpacker.eof:
        if unpacker.needs_input:
            data = raw.read(CHUNK)
            if not data:
                return None, "truncated"
            taken += len(data)
        try:
            reader.parser.Parse(unpacker.decompress(data, max_length=CHUNK))
        except OSError:
            return _next_stream(raw, place + _MARK_BYTES), "truncated"
        except (expat.ExpatError, Refused):
            return _next_stream(raw, place + _MARK_BYTES), "broken_xml"
        finally:
            data = b""
        yield from reader.take()
    after = place + taken - len(unpacker.unused_data)
    following = _next_stream(raw, after)
    if following != after and after < os.fstat(raw.fileno()).st_size:  # what lies between has lost its beginning
        return following, "truncated"
    return following, "broken_xml" if reader.in_page else ""


def _next_stream(raw: BinaryIO, place: int) -> int | None:
    """Where the next stream begins, at `place` or after it."""
    raw.seek(place)
    before = b""
    while data := raw.read(CHUNK):
        if found := _BEGIN.search(before + data):
            return place - len(before) + found.start()
        place += len(data)
        before = (before + data)[1 - _MARK_BYTES :]
    return None
