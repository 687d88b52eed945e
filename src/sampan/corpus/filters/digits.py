"""Tables of numbers, phone lists, scores."""

from __future__ import annotations

from ..characters import DIGIT
from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 2
RULES = (Rule("too_many_digits", "max_digit_share", lambda view: view.share(view.count(DIGIT))),)


def digits(view: TextView) -> Verdict:
    """Drops `too_many_digits`; the digits of every script count."""
    return judge(view, RULES)
