"""Compiled passes over the bytes of a written-out page: what `blocks.scan` does with regular expressions.

Each pass does what one of the expressions there does, on UTF-8 instead of characters, and copies what is left.
"""

from __future__ import annotations

import numpy as np

from ...core.compiled import leaf
from .. import blocks
from .lanes import WIDTH, first_of, first_of_four, move
from .names import LONGEST, MIX_HIGH, MIX_LOW, name_table

_WITHIN, _RAW, _UNREAD = 1, 2, 3
_BITS = 8
_KINDS = {
    name: kind
    for kind, names in ((_WITHIN, blocks.WITHIN_TEXT), (_RAW, blocks.RAW), (_UNREAD, blocks.UNREAD))
    for name in names.split("|")
}
_KEYS, _VALUES = name_table(_KINDS, _BITS)
_LT, _GT, _SLASH, _BANG, _DASH, _BREAK = ord("<"), ord(">"), ord("/"), ord("!"), ord("-"), ord(blocks.BREAK)
_SEMICOLON = ord(";")
_NBSP = np.frombuffer(b"&nbsp;", np.uint8)
_RULE = np.frombuffer(b"<hr>", np.uint8)


@leaf
def blank_at(data, i):
    """Bytes of the blank (as `str.isspace` has it) that begins at `i`, 0 for none."""
    first = data[i]
    if 32 < first < 0xC2 or first > 0xE3:
        return 0
    if first <= 32:
        return 1 if first == 32 or 9 <= first <= 13 or 28 <= first <= 31 else 0
    if first == 0xC2:
        return 2 if data[i + 1] == 0x85 or data[i + 1] == 0xA0 else 0
    if first < 0xE1:
        return 0
    second, third = data[i + 1], data[i + 2]
    if first == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0
    if first == 0xE3:
        return 3 if second == 0x80 and third == 0x80 else 0
    if second == 0x80:
        return 3 if third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF else 0
    return 3 if second == 0x81 and third == 0x9F else 0


@leaf
def find_byte(data, byte, start, end):
    """Place of the first `byte` from `start` on, `end` if there is none."""
    while start + WIDTH <= end:
        place = first_of(data, start, byte)
        if place < WIDTH:
            return start + place
        start += WIDTH
    while start < end and data[start] != byte:
        start += 1
    return start


@leaf
def name_end(data, start, end):
    """Where a tag's name ends that begins at `start`: at a blank, a `>` or the end."""
    while start < end and (_GT < data[start] < 0xC2 or (data[start] != _GT and blank_at(data, start) == 0)):
        start += 1
    return start


@leaf
def look_up(keys, values, bits, data, start, end):
    """Value of the name data[start:end] in a `name_table`, -1 if it is not there."""
    size = end - start
    if size < 1 or size > LONGEST:
        return -1
    low = high = np.uint64(0)
    for i in range(min(size, 8)):
        low |= np.uint64(data[start + i]) << np.uint64(8 * i)
    for i in range(8, size):
        high |= np.uint64(data[start + i]) << np.uint64(8 * (i - 8))
    place = (low * MIX_LOW ^ high * MIX_HIGH) >> np.uint64(64 - bits)
    while True:
        at = np.int64(place)
        if keys[at, 0] == low and keys[at, 1] == high:
            return values[at]
        if keys[at, 0] == 0 and keys[at, 1] == 0:
            return -1
        place = (place + np.uint64(1)) & np.uint64((1 << bits) - 1)


@leaf
def _same(data, one, other, size, end):
    """Whether `size` bytes at `one`, before `end`, are those at `other`."""
    if one + size > end:
        return False
    for i in range(size):  # noqa: SIM110 - numba compiles no generators
        if data[one + i] != data[other + i]:
            return False
    return True


@leaf
def _closing(data, i, name, size, end):
    """Whether `</name>` stands at `i`."""
    if i + size + 3 > end or data[i + 1] != _SLASH or data[i + 2 + size] != _GT:
        return False
    return _same(data, i + 2, name, size, end)


@leaf
def _left_out_end(data, i, end):
    """Where what is left out ends that begins with the `<` at `i`, -1 if nothing begins there."""
    start = i + 1
    if start >= end:
        return -1
    if data[start] == _BANG:
        return _comment_end(data, start, end)
    name = start + 1 if data[start] == _SLASH else start
    after = name_end(data, name, min(end, name + LONGEST))
    size = after - name
    kind = look_up(_KEYS, _VALUES, _BITS, data, name, after)
    if kind < 0 or after >= end or (data[after] != _GT and blank_at(data, after) == 0):
        return -1
    if kind != _WITHIN and name != start:
        return -1
    at = find_byte(data, _GT, after, end) + 1
    if at > end or kind == _WITHIN:
        return at if at <= end else -1
    while True:
        at = find_byte(data, _LT, at, end)
        if at >= end:
            return end if kind == _RAW else -1
        if _closing(data, at, name, size, end):
            return at + size + 3
        if kind == _UNREAD and _tag_of(data, at, name, size, end):
            return -1
        at += 1


@leaf
def _comment_end(data, start, end):
    if start + 3 > end or data[start + 1] != _DASH or data[start + 2] != _DASH:
        return -1
    at = start + 3
    while at + 3 <= end:
        if data[at] == _DASH and data[at + 1] == _DASH and data[at + 2] == _GT:
            return at + 3
        at += 1
    return end


@leaf
def _tag_of(data, i, name, size, end):
    """Whether a begin or end tag of the element named at `name` stands at `i`."""
    start = i + 2 if i + 1 < end and data[i + 1] == _SLASH else i + 1
    after = start + size
    if after >= end or not _same(data, start, name, size, end):
        return False
    return data[after] == _GT or blank_at(data, after) > 0


@leaf
def reduce_into(data, out):
    """Copy without elements that hold no readable text, tags within text, comments and soft hyphens, with `<br>` as one
    byte and `&nbsp;` as a blank; `out` has WIDTH bytes more than can be written.

    Returns the bytes written; whether there may be breaks with only blanks between them; and whether something is left
    out of the midst of a tag, so that the rest says nothing: two passes would read what then meets.
    """
    size = i = opened = 0  # `opened` is where the last tag begins that was copied
    end = data.size
    doubled = False
    while i < end:
        if i + WIDTH <= end:
            move(data, i, out, size)
            place = first_of_four(data, i, _LT, _SEMICOLON, _BREAK, 0xC2)
            if place == WIDTH:  # told apart, as else each step would wait for the one before
                i += WIDTH
                size += WIDTH
                continue
            i += place
            size += place
        byte = data[i]
        if byte == _LT:
            at = _left_out_end(data, i, end)
            if at >= 0:
                if opened < size and out[opened] == _LT and find_byte(out, _GT, opened, size) == size:
                    return size, False, True
                i = at
                continue
            at = _break_end(data, i, end)
            if at > 0:
                if find_byte(data, _LT, i + 1, at) < at:
                    return size, False, True
                byte, i = np.uint8(_BREAK), at - 1
            else:
                opened = size
        elif byte == 0xC2 and data[i + 1] == 0xAD:
            i += 2
            continue
        if byte == _BREAK and size > 0:
            doubled |= out[size - 1] <= 32 or 0x80 <= out[size - 1] <= 0xAF  # it may end a blank
        out[size] = byte
        size += 1
        i += 1
        if byte == _SEMICOLON and size >= 6 and _ends_in_nbsp(out, size):
            size -= 5
            out[size - 1] = 32
    return size, doubled, False


@leaf
def _ends_in_nbsp(out, size):
    for k in range(6):  # noqa: SIM110
        if out[size - 6 + k] != _NBSP[k]:
            return False
    return True


@leaf
def _break_end(data, i, end):
    """Where the `<br>` ends that begins at `i`, 0 if none does."""
    if i + 3 >= end or data[i + 1] != 98 or data[i + 2] != 114:
        return 0
    if data[i + 3] == _GT:
        return i + 4
    if blank_at(data, i + 3) == 0:
        return 0
    at = find_byte(data, _GT, i + 3, end)
    return at + 1 if at < end else 0


@leaf
def part_paragraphs(data, end, out):
    """Copy with two or more breaks, and the blanks among and after them, as `<hr>`; returns the bytes written."""
    size = i = 0
    while i < end:
        byte = data[i]
        if byte == _BREAK:
            at = i + 1
            while at < end and blank_at(data, at) > 0:
                at += blank_at(data, at)
            if at < end and data[at] == _BREAK:
                while at < end and (data[at] == _BREAK or blank_at(data, at) > 0):
                    at += max(1, blank_at(data, at))
                for k in range(4):
                    out[size + k] = _RULE[k]
                size += 4
                i = at
                continue
        out[size] = byte
        size += 1
        i += 1
    return size
