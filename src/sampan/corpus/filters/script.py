"""Documents mostly in another script than their language's."""

from __future__ import annotations

from ..characters import script_share
from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 2
RULES = (Rule("other_script", "min_script_share", lambda view: script_share(view.codepoints_C, view.profile.script)),)


def script(view: TextView) -> Verdict:
    """Drops `other_script`: less than `min_script_share` of the letters are the language's own."""
    return judge(view, RULES)
