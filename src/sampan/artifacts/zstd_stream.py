"""A zstd file as a stream of bytes that says when it is cut off, which zstandard's own reader does not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

_READ_BYTES = 8192
"""Compressed bytes taken at once: few, since the most that they can unpack to is held in memory."""


class ZstdStream(io.RawIOBase):
    """The unpacked bytes of all frames of a file; EOFError where a frame is damaged or the last one is not whole."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._blocks = _blocks(path)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._blocks.close()  # closes the file
        super().close()


def _blocks(path: Path) -> Iterator[bytes]:
    import zstandard

    frame = None
    with open(path, "rb") as file:
        while packed := file.read(_READ_BYTES):
            while packed:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                try:
                    block = frame.decompress(packed)
                except zstandard.ZstdError as error:
                    raise EOFError(str(error)) from None
                if block:
                    yield block
                packed = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("the last zstd frame has no end")
