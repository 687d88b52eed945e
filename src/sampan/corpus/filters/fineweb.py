"""Lists and fragments, after FineWeb's own rules (Penedo et al. 2024, §3.6), with lengths in words or clusters.

FineWeb's third rule, characters in repeated lines, is `max_duplicate_line_share` of the filter `repetition`.
"""

from __future__ import annotations

from ..characters import CLOSE, END
from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 1
MIN_LINES, SHORT_WORDS = 10, 6
"""FineWeb's short line has 30 characters or fewer, about six English words."""


def fineweb(view: TextView) -> Verdict:
    """Drops `list` (many lines, few words), `short_lines` and `few_line_ends` (lines that end no sentence)."""
    return judge(view, RULES)


def _lines_per_unit(view: TextView) -> float | None:
    """Lines for each word (for each three clusters)."""
    if len(view.lines) < MIN_LINES:
        return None
    return len(view.lines) * view.word_units / max(1, len(view.units))


def _short_lines(view: TextView) -> float | None:
    if len(view.lines) < MIN_LINES:
        return None
    return float((view.units_by_line <= SHORT_WORDS * view.word_units).mean())


def _line_ends(view: TextView) -> float | None:
    """Share of lines whose last mark ends a sentence, closing quotes and brackets aside."""
    if len(view.lines) < MIN_LINES:
        return None
    last = view.kinds_C[view.lines.ends_L - 1]
    before = view.kinds_C[(view.lines.ends_L - 2).clip(0)]
    return float(((last & END > 0) | ((last & CLOSE > 0) & (before & END > 0))).mean())


RULES = (
    Rule("list", "max_lines_per_unit", _lines_per_unit),
    Rule("short_lines", "max_short_line_share", _short_lines),
    Rule("few_line_ends", "min_line_end_share", _line_ends),
)
