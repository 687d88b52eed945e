"""Compiled `normalise._work_in`: which steps may have work with a text, in one pass over its characters."""

from __future__ import annotations

from ...core.compiled import leaf
from .. import mojibake

_RUN = mojibake.THAI_RUN
_LINE_END, _SPACE, _DELETE = 10, 32, 127


@leaf
def work_in(points, table, c1, head, later, thai, misread, spaced):
    """The bits of all characters in `table`, whose last entry stands for all above; `misread` if the bit `c1` is among
    them, a character with `later` follows one with `head`, or THAI_RUN with `thai` follow each other; and `spaced` if
    there may be blanks too many: two spaces, one before a line's end, two empty lines, or a blank at either end."""
    work = before = run = ends = last_point = 0
    wrong = blanks = False
    last = table.size - 1
    for i in range(points.size):
        point = int(points[i])
        if _SPACE < point < _DELETE:  # no step has work with these, nor do they belong to what one looks for
            before = run = ends = 0
            last_point = point
            continue
        bits = table[min(point, last)]
        work |= bits
        wrong |= bool(bits & later) & bool(before & head)
        run = run + 1 if bits & thai else 0
        wrong |= run >= _RUN
        before = bits
        if point <= _SPACE:
            blanks |= last_point == _SPACE and point in (_SPACE, _LINE_END)
            ends = ends + 1 if point == _LINE_END else 0
            blanks |= ends >= 3
        else:
            ends = 0
        last_point = point
    if points.size:
        blanks |= _may_be_blank(points[0]) or _may_be_blank(points[-1])
    work |= misread if wrong or work & c1 else 0
    return work | spaced if blanks else work


@leaf
def _may_be_blank(point):
    """True for all that `str.strip` takes away, and for some others."""
    return point <= _SPACE or 0x7F <= point <= 0xA0 or 0x1680 <= point <= 0x3000
