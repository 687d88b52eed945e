"""Code, tables drawn with characters, emoji rows, decoration."""

from __future__ import annotations

from ..characters import SYMBOL
from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 2
RULES = (Rule("too_many_symbols", "max_symbol_share", lambda view: view.share(view.count(SYMBOL))),)


def symbols(view: TextView) -> Verdict:
    """Drops `too_many_symbols`: characters that are no letter, mark, digit or everyday punctuation."""
    return judge(view, RULES)
