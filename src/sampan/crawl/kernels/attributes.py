"""Compiled reading of tags with many attributes: the expressions of `long_tags`, byte by byte."""

from __future__ import annotations

from ...core.compiled import leaf
from .markup import find_byte

_LT, _GT, _SLASH, _EQUALS, _QUOTE, _APOSTROPHE, _GRAVE = (ord(char) for char in "<>/=\"'`")
_PLAIN_MOST = 99


@leaf
def _blank(byte):
    return byte == 32 or (9 <= byte <= 13 and byte != 11)


@leaf
def _letter(byte):
    return 97 <= byte | 32 <= 122


@leaf
def _skip_blanks(data, i, end):
    while i < end and _blank(data[i]):
        i += 1
    return i


@leaf
def count_attributes(data, i):
    """Where the attributes end that begin at `i` (`long_tags._ATTRIBUTES`), and how many they are."""
    count, end = 0, data.size
    quotes = apostrophes = True  # whether there may be one more of them
    while True:
        j = i
        while j < end and (_blank(data[j]) or data[j] == _SLASH):
            j += 1
        if j >= end or data[j] == _GT:
            return i, count
        j += 1
        while j < end and not (_blank(data[j]) or data[j] in (_SLASH, _GT, _EQUALS)):
            j += 1
        k = _skip_blanks(data, j, end)
        if k < end and data[k] == _EQUALS:
            j = k = _skip_blanks(data, k + 1, end)
            if k < end and data[k] == _QUOTE:
                close = find_byte(data, _QUOTE, k + 1, end) if quotes else end
                quotes = close < end
                j = close + 1 if quotes else j
            elif k < end and data[k] == _APOSTROPHE:
                close = find_byte(data, _APOSTROPHE, k + 1, end) if apostrophes else end
                apostrophes = close < end
                j = close + 1 if apostrophes else j
            else:
                while j < end and not (_blank(data[j]) or data[j] == _GT):
                    j += 1
        i = j
        count += 1


@leaf
def _plain(data, i, end):
    """Whether a tag whose name ends at `i` has few plain attributes and ends (`long_tags.PLAIN_ATTRIBUTES`)."""
    for _ in range(_PLAIN_MOST):
        j = _skip_blanks(data, i, end)
        if j == i or j >= end or not _letter(data[j]):
            break
        j += 1
        while j < end and (_letter(data[j]) or 48 <= data[j] <= 58 or data[j] in (45, 46, 95)):  # 0-9 : - . _
            j += 1
        i = j
        if j + 1 < end and data[j] == _EQUALS:
            j += 1
            if data[j] in (_QUOTE, _APOSTROPHE):
                quote = data[j]
                j += 1
                while j < end and data[j] != quote and not (data[j] == _LT or data[j] == _GT):
                    j += 1
                if j < end and data[j] == quote:
                    i = j + 1
            else:
                start = j
                while j < end and not (_blank(data[j]) or data[j] in (_QUOTE, _APOSTROPHE, _LT, _GT, _EQUALS, _GRAVE)):
                    j += 1
                if j > start:
                    i = j
    i = _skip_blanks(data, i, end)
    if i < end and data[i] == _SLASH:
        i += 1
    return i < end and data[i] == _GT


@leaf
def read_tags(data, start, stop, most, least_size, read, limit):
    """`read` and the bytes of the attributes of all tags that begin in data[start:stop] and are not plain; -1 if it
    goes beyond `limit`, or if a tag has `most` attributes of `least_size` bytes together."""
    i = start
    while True:
        i = find_byte(data, _LT, i, stop)
        if i + 1 >= stop:
            return read
        i += 1
        if not (_letter(data[i]) or data[i] == _SLASH):
            continue
        after = i + 1
        while after < stop and not (_blank(data[after]) or data[after] == _SLASH or data[after] == _GT):
            after += 1
        if _plain(data, after, stop):
            continue
        end, count = count_attributes(data, after)
        read += end - after
        if read > limit or (end - after >= least_size and count >= most):
            return -1
        i = after
