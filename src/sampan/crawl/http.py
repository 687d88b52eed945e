"""The HTTP response inside a record: status, headers, and the body without its transfer and content encodings.

Archives often keep a header after having undone what it says, so a claim that the bytes do not bear out is not
believed. Nothing is unpacked beyond the size that is asked for.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

from .warc_records import declared_length, parse_headers

MAX_HEAD = 256 << 10
MAX_ENCODINGS = 4
_PIECE = 64 << 10
_ZSTD_PIECE = 1 << 10
"""What a piece of zstd unpacks to is held in memory and has no bound but its own size."""
_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? +(\d{3})\b")
_CHUNK = re.compile(rb"\s*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]{0,1000})?\r?\n")


class TooLarge(Exception):
    """The body unpacks to more than was asked for."""


class BadEncoding(Exception):
    """The body begins as its headers say and then breaks off."""


def split_response(block: bytes) -> tuple[int, Mapping[str, str], bytes] | None:
    """(status, headers by lower-case name, raw body) of a response; None if the block is no HTTP response."""
    status = _STATUS.match(block)
    if not status:
        return None
    end = _END.search(block, 0, MAX_HEAD)
    if not end:
        return (int(status[1]), parse_headers(block), b"") if len(block) < MAX_HEAD else None
    return int(status[1]), parse_headers(block[: end.start()]), block[end.end() :]


def is_whole_response(block: bytes) -> bool:
    """Whether a block that is shorter than its record says holds all that the response inside it promises."""
    response = split_response(block)
    return response is not None and 0 < declared_length(response[1].get("content-length", "")) <= len(response[2])


def decode_body(body: bytes, headers: Mapping[str, str], max_bytes: int) -> bytes:
    """The body as it was before it was encoded; as it is where no claim of the headers holds.

    TooLarge beyond `max_bytes`, BadEncoding for a body that breaks off inside its encoding.
    """
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = dechunk(body)
    claims = [*_claims(headers.get("content-encoding", "")), *_claims(headers.get("transfer-encoding", ""))]
    for name in reversed(claims[:MAX_ENCODINGS]):
        body = _undo(name, body, max_bytes)
    if len(body) > max_bytes:
        raise TooLarge
    return body


def dechunk(body: bytes) -> bytes:
    """The joined chunks; the body itself if it does not begin with one. A chunk that is cut off is kept as far as it
    goes, as browsers do."""
    parts, at = [], 0
    while size := _CHUNK.match(body, at):
        length = int(size[1], 16)
        if not length:
            return b"".join(parts)
        parts.append(body[size.end() : size.end() + length])
        at = size.end() + length
        if at >= len(body):
            return b"".join(parts)
        if body[at : at + 2] != b"\r\n" and body[at : at + 1] != b"\n":
            break
    return body if len(parts) < 2 else b"".join(parts)


def _claims(value: str) -> list[str]:
    return [name for part in value.lower().split(",") if (name := part.strip()) in _UNPACK]


def _undo(name: str, body: bytes, max_bytes: int) -> bytes:
    unpacked, whole = _UNPACK[name](body, max_bytes + 1)
    if len(unpacked) > max_bytes:
        raise TooLarge
    if unpacked and not whole:
        raise BadEncoding(name)
    return unpacked if whole else body


def _inflate(body: bytes, limit: int, bits: tuple[int, ...] = (31,)) -> tuple[bytes, bool]:
    """(bytes, whether they are whole): up to `limit` bytes of a stream of the first kind of `bits` that fits."""
    for kind in bits:
        unpack, found = zlib.decompressobj(kind), bytearray()
        try:
            for at in range(0, len(body), _PIECE):
                found += unpack.decompress(body[at : at + _PIECE], limit - len(found))
                if unpack.eof or len(found) >= limit:
                    break
        except zlib.error:
            if not found:
                continue
            return bytes(found), False
        return bytes(found), unpack.eof
    return b"", False


def _deflate(body: bytes, limit: int) -> tuple[bytes, bool]:
    return _inflate(body, limit, (15, -15))  # servers send it with and without zlib's frame


def _brotli(body: bytes, limit: int) -> tuple[bytes, bool]:
    import brotli

    unpack = brotli.Decompressor()
    found = bytearray()
    try:
        found += unpack.process(body, output_buffer_limit=limit)
        while not unpack.is_finished() and len(found) < limit:
            more = unpack.process(b"", output_buffer_limit=limit - len(found))
            if not more:
                break
            found += more
    except brotli.error:
        return bytes(found), False
    return bytes(found), unpack.is_finished()


def _zstd(body: bytes, limit: int) -> tuple[bytes, bool]:
    import zstandard

    unpack = zstandard.ZstdDecompressor(max_window_size=8 << 20).decompressobj()
    found = bytearray()
    try:
        for at in range(0, len(body), _ZSTD_PIECE):
            found += unpack.decompress(body[at : at + _ZSTD_PIECE])
            if unpack.eof or len(found) >= limit:
                break
    except (zstandard.ZstdError, MemoryError):
        return bytes(found[:limit]), False
    return bytes(found[:limit]), unpack.eof


_UNPACK = {"gzip": _inflate, "x-gzip": _inflate, "deflate": _deflate, "br": _brotli, "zstd": _zstd}
