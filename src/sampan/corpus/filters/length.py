"""Documents too short to teach anything, or too long to be one document. After Gopher (Rae et al. 2021, §A.1)."""

from __future__ import annotations

from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 2
RULES = (
    Rule("too_short", "min_characters", lambda view: view.characters),
    Rule("too_long", "max_characters", lambda view: view.characters),
    Rule("too_few_words", "min_units", lambda view: len(view.units)),
    Rule("too_many_words", "max_units", lambda view: len(view.units)),
)


def length(view: TextView) -> Verdict:
    """Drops `too_short`, `too_long` (characters that are not blanks; CCNet keeps 300 and more, for web pages),
    `too_few_words` and `too_many_words` (units)."""
    return judge(view, RULES)
