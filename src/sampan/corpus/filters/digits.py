"""Tables of numbers, phone lists, scores."""

from __future__ import annotations

from ..verdict import KEEP, Verdict, drop
from ..view import TextView

REVISION = 1


def digits(view: TextView) -> Verdict:
    """Drops `too_many_digits`; the digits of every script count."""
    number = sum(times for char, times in view.counts.items() if char.isdigit())
    return drop("too_many_digits") if view.share(number) > view.limits.max_digit_share else KEEP
