"""Documents too short to teach anything, or too long to be one document."""

from __future__ import annotations

from ..verdict import KEEP, Verdict, drop
from ..view import TextView

REVISION = 1


def length(view: TextView) -> Verdict:
    """Drops `too_short` and `too_long`, by characters that are not blanks (CCNet keeps 300 and more, for web pages)."""
    if view.characters < view.limits.min_characters:
        return drop("too_short")
    if view.characters > view.limits.max_characters:
        return drop("too_long")
    return KEEP
