"""Archive files as members: stretches that unpack on their own, read in bounded pieces and found again after damage.

A gzip or zstd archive is a row of members, one a record as a rule; an lz4 or plain file is taken as one. What is
damaged, cut off or unpacks to absurd sizes ends its member and not the file: the next beginning is looked for in the
raw bytes, and believed if what it unpacks to begins like a record.
"""

from __future__ import annotations

import os
import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

try:
    from isal import isal_zlib
except ImportError:  # zlib gives the same and takes more than twice as long
    isal_zlib = None

_READ, _WHOLE_READ = 16 << 10, 64 << 10
_ZSTD_READ = 1 << 10
"""Zstd has no bound on what a piece unpacks to but 128 kB a block of at least four bytes: so, small pieces."""
_WHOLE_BYTES = 8 << 20
"""A gzip member of up to so many bytes may be unpacked in one piece."""
_KNOWN_FLAGS = b"\x1f"
"""Of the fourth byte of a gzip member; zlib alone refuses others."""
_LARGEST_DICTIONARY = 32 << 20
"""zstd makes them of a hundred kilobytes or so."""
_SCAN = 1 << 20
_LONGEST_MARK = 10 << 10
BOMB_BYTES = 64 << 20
BOMB_RATIO = 200
"""A member that has unpacked to more than BOMB_BYTES and BOMB_RATIO times its packed size is given up. Pages shrink to
a tenth or so; zeros to a thousandth."""
_GZIP, _ZSTD, _LZ4 = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"
_ZSTD_DICTIONARY = b"\x5d\x2a\x4d\x18"

Looks = Callable[[bytes], bool]
"""Whether bytes are those of the beginning of a record."""


class Broken(Exception):
    """A member that cannot be read on; the argument is the reason: `truncated`, `damaged` or `bomb`."""


class Member(ABC):
    """Bytes that unpack on their own, from `start` in the file; `end` is known once all is read (a plain file has no
    ends: its reader says where it stopped)."""

    seekable = False

    def __init__(self, file: BinaryIO, start: int) -> None:
        self.file, self.start, self.end = file, start, -1
        self._at = start
        self._given = self._taken = 0

    @property
    def finished(self) -> bool:
        return self.end >= 0

    @abstractmethod
    def read(self, size: int) -> bytes:
        """Up to about `size` more bytes, b"" at the end. Broken if there is damage."""

    def join(self) -> bool:
        """Go on with the next member if that begins in the midst of a record, as those of some writers do."""
        return False

    def _packed(self, size: int) -> bytes:
        """The next packed bytes; Broken at the end of the file, which is inside a member."""
        self.file.seek(self._at)
        data = self.file.read(size)
        if not data:
            raise Broken("truncated")
        self._at += len(data)
        self._taken += len(data)
        return data

    def _count(self, block: bytes) -> bytes:
        self._given += len(block)
        if self._given > BOMB_BYTES and self._given > BOMB_RATIO * self._taken:
            raise Broken("bomb")
        return block


class _Plain(Member):
    seekable = True

    @property
    def size(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    def read(self, size: int) -> bytes:
        self.file.seek(self._at)
        data = self.file.read(size)
        self._at += len(data)
        return data

    def seek(self, position: int) -> None:
        self._at = position


class _Gzip(Member):
    def __init__(self, file: BinaryIO, start: int, begins: Callable[[int], bool]) -> None:
        super().__init__(file, start)
        self._begins = begins
        self._begin()

    def _begin(self) -> None:
        """Be ready to unpack from `_at` on."""
        self._unpack: Any = None
        self._left = b""
        self._block, self._block_end, self._tried = b"", -1, isal_zlib is None

    def join(self) -> bool:
        if not self.finished or self._begins(self.end):
            return False
        self._at, self.end = self.end, -1
        self._begin()
        return True

    def read(self, size: int) -> bytes:
        if not self._tried:
            self._tried = True
            self._unpack_whole()
        if self._block:  # all at once: it is in memory, and each piece would be copied
            given, self._block, self.end = self._block, b"", self._block_end
            return self._count(given)
        while not self.finished:
            self._unpack = self._unpack or zlib.decompressobj(31)
            try:
                block = self._unpack.decompress(self._left or self._packed(_READ), size)
            except zlib.error:
                raise Broken("damaged") from None
            self._left = self._unpack.unconsumed_tail
            if self._unpack.eof:
                self.end = self._at - len(self._unpack.unused_data)
            if block:
                return self._count(block)
        return b""

    def _unpack_whole(self) -> None:
        """Have all of the member in `_block` if it is sound and not large. A member that ends with its own checksum and
        length has one reading; in any other zlib says what comes before the damage, as decoders differ in that."""
        unpack, blocks, size, at = isal_zlib.decompressobj(31), [], 0, self._at
        self.file.seek(at)
        while not unpack.eof:
            data = self.file.read(_WHOLE_READ)
            if not data or (at == self._at and data[3:4] > _KNOWN_FLAGS):
                return
            at += len(data)
            try:
                blocks.append(unpack.decompress(data, _WHOLE_BYTES + 1 - size))
            except isal_zlib.error:
                return
            size += len(blocks[-1])
            if size > _WHOLE_BYTES:
                return
        if size:
            self._block, self._block_end = b"".join(blocks), at - len(unpack.unused_data)
            self._taken += at - self._at


class _Zstd(Member):
    def __init__(self, file: BinaryIO, start: int, unpack: Any) -> None:
        super().__init__(file, start)
        self._unpack = unpack.decompressobj()
        self._block = memoryview(b"")

    def read(self, size: int) -> bytes:
        import zstandard

        while not self._block and not self.finished:
            try:
                self._block = memoryview(self._unpack.decompress(self._packed(_ZSTD_READ)))
            except (zstandard.ZstdError, MemoryError):
                raise Broken("damaged") from None
            if self._unpack.eof:
                self.end = self._at - len(self._unpack.unused_data)
        given, self._block = self._block[:size], self._block[size:]
        return self._count(bytes(given))


class _Lz4(Member):
    def __init__(self, file: BinaryIO, start: int) -> None:
        from fastwarc.stream_io import Lz4Reader

        super().__init__(file, start)
        file.seek(start)
        self._unpack = Lz4Reader(file)

    def read(self, size: int) -> bytes:
        try:
            block = self._unpack.read(size)
        except (OSError, ValueError, EOFError, RuntimeError):
            raise Broken("damaged") from None
        self._taken = max(1, self.file.tell() - self.start)
        if not block:
            self.end = self.file.seek(0, 2)
        return self._count(block)


class Archive:
    """An open archive file: its packing, told by its first bytes and never by its name, and its members.

    `mark` finds the records of a plain file, its group 1 begins where they do; `looks` judges a beginning.
    """

    def __init__(self, path: Path, *, mark: re.Pattern[bytes], looks: Looks) -> None:
        self.file = open(path, "rb", buffering=1 << 18)
        self.size = path.stat().st_size
        self.stopped = 0
        self._looks = looks
        head = self.file.read(4)
        self._dictionary: Any = None
        if head[:3] == _GZIP:
            self.packing, self._magic = "gzip", re.compile(b"(" + re.escape(_GZIP) + rb"[\x00-\x1f])")
        elif head == _ZSTD or (len(head) == 4 and head[0] & 0xF0 == 0x50 and head[1:] == _ZSTD_DICTIONARY[1:]):
            self.packing, self._magic = "zstd", re.compile(b"(" + re.escape(_ZSTD) + b")")
            self._dictionary = self._zstd_dictionary() if head == _ZSTD_DICTIONARY else None
        elif head == _LZ4:
            self.packing, self._magic = "lz4", mark
        else:
            self.packing, self._magic = "plain", mark

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()

    def begins_as(self, looks: Looks) -> bool:
        """Whether `looks` is true of the file's first unpacked bytes."""
        try:
            return looks(self._open(0).read(_LONGEST_MARK))
        except Broken:
            return False

    def members(self, start: int, end: int) -> Iterator[Member]:
        """Members that begin in start..end of the file, in order; for a plain file one, from `start`. `stopped` is then
        where the next one begins.

        A caller that does not read a member to its end gives it up: the next one is then looked for.
        """
        while start < min(end, self.size):
            member = self._open(start)
            yield member
            start = member.end if member.end > start else self.next_start(start + 1)
        self.stopped = start

    def next_start(self, position: int) -> int:
        """Where the first member (in a plain file: record) at or after `position` begins; the file's size if none."""
        base, data = max(0, position - 1), b""  # a plain file's mark has the byte before it
        while self.packing != "lz4" and base + len(data) < self.size:
            self.file.seek(base + len(data))
            data += self.file.read(_SCAN)
            for match in self._magic.finditer(data):
                found = base + match.start(1)
                if found >= position and self._believed(found):
                    return found
            base, data = base + len(data) - min(len(data), _LONGEST_MARK), data[-_LONGEST_MARK:]
        return self.size

    def cuts(self, piece: int) -> list[int]:
        """Where to cut the file into pieces of about `piece` bytes at beginnings of members: [0, …, size]."""
        found = [0]
        while found[-1] + 2 * piece <= self.size:
            found.append(self.next_start(found[-1] + piece))
        return found if found[-1] == self.size > 0 else [*found, self.size]

    def _open(self, start: int) -> Member:
        if self.packing == "gzip":
            return _Gzip(self.file, start, self._begins)
        if self.packing == "zstd":
            import zstandard

            return _Zstd(self.file, start, zstandard.ZstdDecompressor(dict_data=self._dictionary))
        return _Lz4(self.file, start) if self.packing == "lz4" else _Plain(self.file, start)

    def _begins(self, position: int) -> bool:
        """Whether what unpacks from `position` is a record, or nothing that can be unpacked."""
        try:
            data = self._open(position).read(512)
        except Broken:
            return True
        return not data.strip(b"\r\n") or self._looks(data.lstrip(b"\r\n"))

    def _believed(self, position: int) -> bool:
        try:
            return self._looks(self._open(position).read(512))
        except Broken:
            return False

    def _zstd_dictionary(self) -> Any:
        """The dictionary in the skippable frame that IIPC's .warc.zst begins with; it may be packed itself. None if it
        cannot be read or is beyond reason: then no member can be, and the file is counted as unreadable."""
        import zstandard

        self.file.seek(4)
        size = int.from_bytes(self.file.read(4), "little")
        try:
            data = self.file.read(min(size, _LARGEST_DICTIONARY + 1))
            if data[:4] == _ZSTD:
                data = zstandard.ZstdDecompressor().stream_reader(data).read(_LARGEST_DICTIONARY + 1)
            dictionary = zstandard.ZstdCompressionDict(data) if 0 < len(data) <= _LARGEST_DICTIONARY else None
            zstandard.ZstdDecompressor(dict_data=dictionary)  # tells whether it is one
            return dictionary
        except (zstandard.ZstdError, MemoryError):
            return None
