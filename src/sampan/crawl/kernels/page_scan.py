"""Compiled `blocks.scan`: one walk over the tags of a written-out page gives its blocks, elements and counts."""

from __future__ import annotations

import numpy as np

from ...core.compiled import compiled, leaf
from .. import blocks
from .hints import hints_at
from .lanes import WIDTH
from .markup import blank_at, find_byte, look_up, name_end, part_paragraphs, reduce_into
from .names import LONGEST, name_table

_BITS = 9
_KEYS, _VALUES = name_table({**blocks.CODES, "body": blocks.OTHER_TAG}, _BITS)
_LINK, _END_LINK, _OTHER, _CLOSED, _PRE = (
    blocks.LINK,
    blocks.END_LINK,
    blocks.OTHER_TAG,
    blocks.CLOSED,
    blocks.TAG_NUMBERS["pre"],
)
_END = -1
"""Stands for the tag after the last one."""
_BITS_OF_TAG = blocks.BITS_OF_TAG
_LT, _GT, _SLASH, _BREAK = ord("<"), ord(">"), ord("/"), ord(blocks.BREAK)
_ENTITIES = ("&lt;", "&gt;", "&amp;")
_ENTITY_SIZES = np.array([len(name) for name in _ENTITIES])
_ENTITY_BYTES = np.array([list(name.encode().ljust(5, b"\0")) for name in _ENTITIES], np.uint8)
_ENTITY_CODES = np.array([ord("<"), ord(">"), ord("&")])


@compiled
def reduced(data):
    """The bytes of a page without what is not read, how many they are, and whether they say nothing (`reduce_into`)."""
    first = np.empty(data.size + WIDTH, np.uint8)
    size, doubled, odd = reduce_into(data, first)
    if odd or not doubled:
        return first, size, odd
    second = np.empty(2 * size + 1, np.uint8)
    return second, part_paragraphs(first, size, second), odd


@leaf
def code_of(data, start, end):
    """Number of a tag by its name."""
    code = look_up(_KEYS, _VALUES, _BITS, data, start, end)
    if code >= 0:
        return code
    return _OTHER + _CLOSED if data[start] == _SLASH else _OTHER


@leaf
def measure(data, start, end):
    """Characters of a text, and whether one is no blank."""
    size = 0
    while start < end:
        wide = 1 if data[start] == 32 else blank_at(data, start)
        if wide == 0:
            break
        start += wide
        size += 1
    for k in range(start, end):
        size += data[k] & 0xC0 != 0x80
    return size, start < end


@leaf
def character(data, i, end):
    """The character at `i` and its bytes, an escape read as what it stands for."""
    byte = np.int64(data[i])
    if byte < 128:
        if byte == 38:
            for row in range(3):
                size = _ENTITY_SIZES[row]
                if i + size <= end:
                    equal = True
                    for k in range(1, size):
                        equal &= data[i + k] == _ENTITY_BYTES[row, k]
                    if equal:
                        return _ENTITY_CODES[row], size
        return byte, 1
    if byte < 0xE0:
        return (byte & 31) << 6 | np.int64(data[i + 1]) & 63, 2
    if byte < 0xF0:
        return (byte & 15) << 12 | (np.int64(data[i + 1]) & 63) << 6 | np.int64(data[i + 2]) & 63, 3
    return (
        (byte & 7) << 18
        | (np.int64(data[i + 1]) & 63) << 12
        | (np.int64(data[i + 2]) & 63) << 6
        | np.int64(data[i + 3]) & 63,
        4,
    )


@leaf
def clean_into(data, i, end, points, start):
    """Write the characters of the text data[i:end] from `start` on, blanks as `blocks.clean` leaves them; returns their
    end."""
    size, gap = start, 0
    while i < end:
        byte = data[i]
        if 38 < byte < 128 and not gap:  # the usual case
            points[size] = byte
            size += 1
            i += 1
            continue
        wide = blank_at(data, i)
        if wide:
            gap |= 1
            i += wide
            continue
        if byte == _BREAK:
            gap = 2
            i += 1
            continue
        if gap:
            if size > start:
                points[size] = 32 if gap == 1 else 10
                size += 1
            gap = 0
        code, wide = character(data, i, end)
        points[size] = code
        size += 1
        i += wide
    return size


@leaf
def keep_into(data, i, end, points, start):
    """As `clean_into` for preformatted text, of which only the ends are cut."""
    while i < end and (data[i] == 10 or data[i] == _BREAK):
        i += 1
    size = kept = start
    while i < end:
        blank = blank_at(data, i)
        if data[i] == _BREAK:
            points[size], i = 10, i + 1
        else:
            code, wide = character(data, i, end)
            points[size] = code
            i += wide
            if not blank:
                kept = size + 1
        size += 1
    return kept


@leaf
def _add_block(blocks_B5, number, text, start, end, preformatted, points, size, run):
    """Write a run's text from `size` of `points` on and, if it has any, its row; returns the end of the characters."""
    if preformatted:
        stop = keep_into(text, start, end, points, size)
    else:
        stop = clean_into(text, start, end, points, size)
    blocks_B5[number, 0] = stop
    for k in range(4):
        blocks_B5[number, k + 1] = run[k]
    return stop


@leaf
def _tags(data, end):
    """More than there can be."""
    tags = 2
    for i in range(end):
        tags += data[i] == _LT
    return tags


@compiled
def walk(data, end, most):
    """One pass over the tags of a reduced page, a run of text after another.

    Gives the characters of all texts in a row; of each block [B] where its characters end, links, characters, linked
    characters and the element it stands in; of each element [E] its tag, depth, parent, first block, end block (-1 for
    one that stays open) and where its attributes stand in `data` (two columns); and whether tags close what was never
    opened, so that the rest says nothing.
    """
    tags = _tags(data, end)
    points, raw = np.empty(end + 1, np.uint32), np.empty(end + 1, np.uint8)
    blocks_B5, elements_E7 = np.empty((tags, 5), np.int64), np.empty((tags, 7), np.int64)
    open_2D = np.empty((2, tags), np.int64)
    size, number_B, number_E, odd = _walk(data, end, most, points, raw, blocks_B5, elements_E7, open_2D)
    return points[:size], blocks_B5[:number_B], elements_E7[:number_E], odd


@leaf
def _walk(data, end, most, points, raw, blocks_B5, elements_E7, open_2D):
    """`walk` into arrays that are large enough; returns how many characters, blocks and elements there are. `open_2D`
    are the latest element of each depth, and the one there that waits for its end or -1."""
    number_B = number_E = depth = links_open = pre = filled_to = 0
    links = characters = linked = place = 0  # of the run
    parts = begin = finish = 0  # of its text: how many, and where it stands, in `raw` if they are more than one
    filled = False
    at, after, close = _next_tag(data, 0, end)
    if at >= end:  # without a tag there is no text
        _open(elements_E7, 0, (_OTHER, 1, 0, 0, 0, 0, 0))
        return 0, 0, 1, False
    while True:
        code = code_of(data, at + 1, after) if at < end else _END
        if code in (_LINK, _END_LINK):
            links_open += 1 if code == _LINK else -1
            links += code == _LINK
        else:
            if filled:
                run = (links, characters, linked, place)
                if parts == 1:
                    stop = _add_block(blocks_B5, number_B, data, begin, finish, pre > 0, points, filled_to, run)
                else:
                    stop = _add_block(blocks_B5, number_B, raw, begin, finish, pre > 0, points, filled_to, run)
                number_B += stop > filled_to
                filled_to = stop
            if code == _END:
                return filled_to, number_B, number_E, False
            if code <= _OTHER:
                depth += 1
                if depth < 1:
                    return 0, 0, 0, True
                around = open_2D[0, depth - 1] if depth > 1 else 0
                _open(elements_E7, number_E, (code, depth, around, number_B, -1, after, close))
                open_2D[0, depth] = open_2D[1, depth] = number_E
                number_E += 1
            elif _CLOSED <= code <= _CLOSED + _OTHER:
                if depth >= 1 and open_2D[1, depth] >= 0:
                    elements_E7[open_2D[1, depth], 4] = number_B
                    open_2D[1, depth] = -1
                depth -= 1
            pre += (code == _PRE) - (code == _PRE + _CLOSED)
            place = open_2D[0, depth] if depth >= 1 else 0
            links = characters = linked = parts = 0
            filled = False
        start = close + 1
        at, after, close = _next_tag(data, start, end)
        size, written = measure(data, start, at)
        characters += size
        linked += size if links_open > 0 else 0
        filled |= written and number_B < most
        if (filled or pre > 0) and at > start:  # blanks before a text do not matter
            begin, finish = _join(data, start, at, raw, parts, begin, finish)
            parts += 1


@leaf
def _join(data, start, end, raw, parts, begin, finish):
    """Where the text of a run stands that gets one more part: in `data` if it is the first, else in `raw`."""
    if parts == 0:
        return start, end
    if parts == 1:
        begin, finish = 0, copy(data, begin, finish, raw, 0)
    return begin, copy(data, start, end, raw, finish)


@leaf
def _open(elements_E7, number, row):
    for k in range(7):
        elements_E7[number, k] = row[k]


@leaf
def copy(data, start, end, out, size):
    """Put data[start:end] at `size` of `out`; returns the end of it."""
    for i in range(start, end):
        out[size] = data[i]
        size += 1
    return size


@leaf
def _next_tag(data, start, end):
    """Where the next tag begins from `start` on, where its name ends, and its last byte; `end` if there is none."""
    while True:
        start = find_byte(data, _LT, start, end)
        if start >= end:
            return end, end, end
        after = name_end(data, start + 1, end)
        if after > start + 1:
            close = find_byte(data, _GT, after, end)
            return (start, after, close) if close < end else (end, end, end)
        start += 1


@compiled
def holding(blocks_B5, elements_E7, data):
    """The elements that hold text, with the numbers of parents and places among them, and their hints."""
    number_E, word = np.empty(len(elements_E7), np.int64), np.empty(LONGEST, np.uint8)
    kept_E6 = np.empty((6, _number(number_E, elements_E7, len(blocks_B5))), np.int64)
    _fill(kept_E6, number_E, blocks_B5, elements_E7, data, word)
    return kept_E6


@leaf
def _number(number_E, elements_E7, blocks_in):
    """Number the elements that hold text; returns how many they are."""
    held = 0
    for e in range(len(elements_E7)):
        if elements_E7[e, 4] < 0:
            elements_E7[e, 4] = blocks_in
        held += e == 0 or elements_E7[e, 4] > elements_E7[e, 3]
        number_E[e] = held - 1
    return held


@leaf
def _fill(kept_E6, number_E, blocks_B5, elements_E7, data, word):
    at = 0
    for e in range(len(elements_E7)):
        first, end = elements_E7[e, 3], elements_E7[e, 4]
        if e == 0 or end > first:
            code = elements_E7[e, 0]
            kept_E6[0, at], kept_E6[1, at], kept_E6[2, at] = code, elements_E7[e, 1], number_E[elements_E7[e, 2]]
            kept_E6[3, at], kept_E6[4, at] = first, end
            hints = hints_at(data, elements_E7[e, 5], elements_E7[e, 6], word)
            kept_E6[5, at] = hints | _BITS_OF_TAG[code] if hints >= 0 else hints
            at += 1
    for b in range(len(blocks_B5)):
        blocks_B5[b, 4] = number_E[blocks_B5[b, 4]]


@compiled
def scan_bytes(data, most):
    """Everything at once, up to `most` blocks: see `walk` and `holding`."""
    page, size, odd = reduced(data)
    points, blocks_B5, elements_E7, unopened = walk(page, 0 if odd else size, most)
    return points, blocks_B5, holding(blocks_B5, elements_E7, page), odd or unopened
