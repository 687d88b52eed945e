"""Compiled reading of class names: `blocks.hints_of` on bytes."""

from __future__ import annotations

import numpy as np

from ...core.compiled import leaf
from .. import blocks
from .markup import blank_at, look_up
from .names import LONGEST, name_table

_BITS = 10
_BODY_WORD, _BODY_IS, _BODY_OF = 1 << 40, 1 << 41, 1 << 42
_NAME_BITS = blocks.HINT_WORD_BITS
_BODY = 1 << blocks.BODY_BIT
_HIDDEN = blocks.WORD_BITS["hidden"]
_MOST = blocks.MAX_HINTED


def _words() -> dict[str, int]:
    values = dict(blocks.WORD_BITS)
    for words, flag in ((blocks.BODY_WORDS, _BODY_WORD), (blocks.BODY_IS, _BODY_IS), (blocks.BODY_OF, _BODY_OF)):
        for word in words:
            values[word] = values.get(word, 0) | flag
    return values


_KEYS, _VALUES = name_table(_words(), _BITS)
_CLASS, _ID, _ROLE, _ITEMPROP = (np.frombuffer(word, np.uint8) for word in (b"class", b"id", b"role", b"itemprop"))
_DISPLAY, _NONE, _VISIBILITY, _INVISIBLE = (
    np.frombuffer(word, np.uint8) for word in (b"display:", b"none", b"visibility:", b"hidden")
)
_IS_HIDDEN, _ARIA = (np.frombuffer(word, np.uint8) for word in (b'hidden=""', b'aria-hidden="true"'))
_QUOTE, _EQUALS = ord('"'), ord("=")


@leaf
def hints_at(data, start, end, word):
    """The bits of the names in the attributes data[start:end]; -1 if characters before a name have to be looked up.
    `word` is room for LONGEST bytes."""
    end = _cut(data, start, end)
    bits = np.int64(0)
    i = first = start
    while i + 1 < end:
        if data[i] == _EQUALS and data[i + 1] == _QUOTE:
            name = _name_before(data, first, i)
            if name > 0:
                if name > start and data[name - 1] >= 128:
                    return np.int64(-1)
                if name == start or not _in_word(data[name - 1]):
                    close = i + 2
                    while close < end and data[close] != _QUOTE:
                        close += 1
                    if close >= end:
                        break
                    bits |= _bits_of(data, i + 2, close, word)
                    i = first = close + 1
                    continue
        i += 1
    return bits | _HIDDEN if _unseen(data, start, end) else bits


@leaf
def _cut(data, start, end):
    """The end of the characters that are read."""
    if end - start <= _MOST:
        return end
    left = _MOST
    while start < end:
        if data[start] & 0xC0 != 0x80:
            if left == 0:
                return start
            left -= 1
        start += 1
    return end


@leaf
def _begins(data, at, end, word):
    if at + word.size > end:
        return False
    for k in range(word.size):  # noqa: SIM110 - numba compiles no generators
        if data[at + k] != word[k]:
            return False
    return True


@leaf
def _name_before(data, first, end):
    """Where one of the four attribute names begins that ends at `end`, -1 if none does."""
    for word in (_CLASS, _ID, _ROLE, _ITEMPROP):
        if end - word.size >= first and _begins(data, end - word.size, end, word):
            return end - word.size
    return -1


@leaf
def _in_word(byte):
    return byte == 95 or 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122


@leaf
def _lower(byte):
    return 97 <= byte <= 122


@leaf
def _upper(byte):
    return 65 <= byte <= 90


@leaf
def _bits_of(data, start, end, word):
    """The bits for the value of one attribute."""
    bits = before = np.int64(0)
    i = start
    while i < end:
        if not (_lower(data[i]) or _upper(data[i])):
            i += 1
            continue
        begin = i
        i += 1
        if _upper(data[begin]) and not (i < end and _lower(data[i])):
            while i < end and _upper(data[i]):
                i += 1
        else:
            while i < end and _lower(data[i]):
                i += 1
        value = np.int64(0)
        if i - begin <= LONGEST:
            for k in range(begin, i):
                word[k - begin] = data[k] | 32
            value = max(np.int64(0), look_up(_KEYS, _VALUES, _BITS, word, 0, i - begin))
        bits |= value & _NAME_BITS
        if value & _BODY_WORD or (value & _BODY_IS and before & _BODY_OF):
            bits |= _BODY
        before = value
    return bits


@leaf
def _skip_blanks(data, at, end):
    while at < end and blank_at(data, at) > 0:
        at += blank_at(data, at)
    return at


@leaf
def _unseen(data, start, end):
    """Whether the element is not shown: by its style, or by an attribute."""
    for i in range(start, end):
        byte = data[i]
        if byte == 100:  # d
            if _begins(data, i, end, _DISPLAY) and _begins(data, _skip_blanks(data, i + 8, end), end, _NONE):
                return True
        elif byte == 118:  # v
            if _begins(data, i, end, _VISIBILITY) and _begins(data, _skip_blanks(data, i + 11, end), end, _INVISIBLE):
                return True
        elif byte == 97:  # a
            if _begins(data, i, end, _ARIA):
                return True
        elif byte == 104 and _begins(data, i, end, _IS_HIDDEN) and _blank_ends(data, start, i):  # h
            return True
    return False


@leaf
def _blank_ends(data, start, at):
    """Whether a blank ends at `at`."""
    for size in range(1, 4):  # noqa: SIM110
        if at - size >= start and blank_at(data, at - size) == size:
            return True
    return False
