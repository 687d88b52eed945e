"""Texts full of words from a list, such as slurs or pornography. No list is shipped: give one as `harmful_words`.

C4 (Raffel et al. 2020, §2.2) drops a page for one word of its list, which loses texts about medicine, law and
minorities (Dodge et al. 2021), so the share of such words decides here.
"""

from __future__ import annotations

from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 1


def harmful(view: TextView) -> Verdict:
    """Drops `harmful_words`."""
    return judge(view, RULES)


def _harmful_share(view: TextView) -> float | None:
    """Share of units in words and phrases of the language's list."""
    if view.harmful_words is None or not len(view.units):
        return None
    return view.harmful_words.find(view.folded)[1] / len(view.units)


RULES = (Rule("harmful_words", "max_harmful_share", _harmful_share),)
