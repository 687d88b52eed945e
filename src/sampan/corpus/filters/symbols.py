"""Code, tables drawn with characters, emoji rows, decoration."""

from __future__ import annotations

import functools
import unicodedata

from ..verdict import KEEP, Verdict, drop
from ..view import TextView

REVISION = 1
_PLAIN = frozenset(".,;:!?'\"()-–—…“”‘’«»/%、。，；：！？（）「」『』《》〈〉·・‐‑")


def symbols(view: TextView) -> Verdict:
    """Drops `too_many_symbols`: characters that are no letter, mark, digit or everyday punctuation.

    Punctuation of the region's scripts (Thai ฯ ๆ, Khmer ។, Burmese ။ …) is everyday punctuation.
    """
    number = sum(times for char, times in view.counts.items() if _is_symbol(char))
    return drop("too_many_symbols") if view.share(number) > view.limits.max_symbol_share else KEEP


@functools.lru_cache(maxsize=1 << 14)
def _is_symbol(char: str) -> bool:
    if char in _PLAIN or unicodedata.category(char)[0] in "LMN":
        return False
    return not "\u0b80" <= char <= "\u17ff"
