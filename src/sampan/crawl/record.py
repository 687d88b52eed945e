"""Records of a web archive, and how they are read from a member: on their feet again after a length that is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .packed import Broken, Member

_FILL = 64 << 10
_LONGEST_MARK = 10 << 10
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


@dataclass(slots=True)
class Record:
    """One record: its kind as WARC names it, its headers (lower case) and its block. `problem` says why the block is
    not all there: `truncated`, `damaged`, `bomb`, `too_large`, `bad_header` or `not_a_record`."""

    kind: str
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    problem: str = ""
    mended: bool = False
    """Whether the declared length was wrong and the next record was found without it."""


class Reader:
    """The bytes of a member with look-ahead. At most about what is asked for is held in memory. Broken on damage."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self._buffer = bytearray()
        self._fetched = member.start if member.seekable else 0

    @property
    def position(self) -> int:
        """Place of the next byte: in the file for a plain one, in the unpacked member else."""
        return self._fetched - len(self._buffer)

    def peek(self, size: int) -> bytes:
        self._fill(size)
        with memoryview(self._buffer) as view, view[:size] as part:
            return bytes(part)

    def take(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        data = self.peek(size)
        del self._buffer[:size]
        return data

    def push_back(self, data: bytes) -> None:
        self._buffer[:0] = data

    def skip(self, size: int) -> bool:
        """Pass over `size` bytes; whether there were so many. A plain file is not read for it."""
        member: Any = self.member
        if member.seekable and size > len(self._buffer):
            return self.position + size <= member.size and self.rewind(self.position + size)
        while size > len(self._buffer):
            size -= len(self._buffer)
            self._buffer.clear()
            if not self._more():
                return False
        del self._buffer[:size]
        return True

    def rewind(self, position: int) -> bool:
        """Go back to a `position` of before; False where that cannot be done, in a packed member."""
        member: Any = self.member
        if not member.seekable:
            return False
        member.seek(position)
        self._buffer.clear()
        self._fetched = position
        return True

    def skip_blank(self) -> None:
        """Pass over line ends."""
        while self._fill(1):
            if self._buffer[0] not in b"\r\n":
                return
            kept = self._buffer.lstrip(b"\r\n")
            del self._buffer[: len(self._buffer) - len(kept)]
            if self._buffer:
                return

    def head(self, limit: int) -> bytes | None:
        """All up to and with the next blank line; None if there is none within `limit` bytes."""
        size = 1024
        while True:
            full = self._fill(min(size, limit))
            match = _BLANK_LINE.search(self._buffer, 0, limit)
            if match:
                return self.take(match.end())
            if not full or size >= limit:
                return None
            size *= 4

    def line(self, limit: int) -> bytes | None:
        """The next line with its end; None if it is longer than `limit`."""
        size = 1024
        while True:
            full = self._fill(min(size, limit))
            end = self._buffer.find(b"\n", 0, limit)
            if end >= 0 or not full:
                return self.take(end + 1 if end >= 0 else limit)
            if size >= limit:
                return None
            size *= 4

    def until(self, mark: re.Pattern[bytes], limit: int) -> bytes | None:
        """What comes before the next `mark`, or before the end; None, all of it passed over, if that is more than
        `limit` bytes."""
        kept, whole = bytearray(), True
        while True:
            more = self._fill(_FILL)
            match = mark.search(self._buffer)
            cut = match.start(1) if match else max(0, len(self._buffer) - more * _LONGEST_MARK)
            whole = whole and len(kept) + cut <= limit
            if whole:
                kept += self._buffer[:cut]
            del self._buffer[:cut]
            if match or not more:
                return bytes(kept) if whole else None

    def _fill(self, size: int) -> bool:
        """Whether `size` bytes are in the buffer, after reading as many as there are."""
        while len(self._buffer) < size:
            if not self._more(size - len(self._buffer)):
                return False
        return True

    def _more(self, size: int = _FILL) -> bool:
        block = self.member.read(max(size, 4096))
        self._buffer += block
        self._fetched += len(block)
        return bool(block)


@dataclass(frozen=True)
class Format:
    """How records of a kind of archive begin and end."""

    mark: re.Pattern[bytes]
    """Finds a record in the midst of other bytes: its group 1 begins where the record does."""
    looks: Callable[[bytes], bool]
    """Whether the first bytes of a member are the beginning of a record."""
    head: Callable[[Reader], tuple[Record, int]]
    """Read a record's head; gives the record without its block, or with a `problem`, and the length declared, -1 if
    none can be read."""
    ends_here: Callable[[Reader], bool]
    """Whether a block may be over here: nothing follows, or the end of a block, or another record."""


def read_records(form: Format, member: Member, max_bytes: int, end: int) -> Iterator[Record]:
    """Records of a member, for a plain file those that begin before `end`. Blocks larger than `max_bytes` are passed
    over as `too_large`."""
    reader = Reader(member)
    while True:
        try:
            reader.skip_blank()
            over = not reader.peek(1)
            if member.seekable and (over or reader.position >= end):
                member.end, over = reader.position, True
            if over:
                return
            record, length = form.head(reader)
            if record.problem:
                reader.push_back(b"\n")  # so that a mark right here is seen
                reader.until(form.mark, 0)
        except Broken as error:
            yield Record("unknown", problem=str(error))
            return
        try:
            if not record.problem:
                _read_block(form, reader, record, length, max_bytes)
        except Broken as error:
            record.problem = str(error)
            yield record
            return
        yield record


def _read_block(form: Format, reader: Reader, record: Record, length: int, max_bytes: int) -> None:
    """Fill in the block of a record. A length is believed if the block may be over there; else it ends where the next
    record begins."""
    start = reader.position
    if length > max_bytes:
        record.problem = "too_large"
        if (reader.skip(length) and form.ends_here(reader)) or not reader.rewind(start):
            return
        length = -1
    if length >= 0:
        record.body = reader.take(length)
        while len(record.body) < length and reader.member.join():
            record.body += reader.take(length - len(record.body))
        if len(record.body) == length and form.ends_here(reader):
            return
        reader.push_back(record.body)
    reader.push_back(b"\n")
    body = reader.until(form.mark, max_bytes)
    if body is None:
        record.body, record.problem = b"", "too_large"
    elif len(body) - 1 < length:
        record.body, record.problem = body[1:], "truncated"
    else:
        record.body, record.mended, record.problem = body[1:].rstrip(b"\r\n"), True, ""
