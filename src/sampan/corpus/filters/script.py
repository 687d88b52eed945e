"""Documents mostly in another script than their language's."""

from __future__ import annotations

from ...lang.scripts import own_script_share
from ..verdict import KEEP, Verdict, drop
from ..view import TextView

REVISION = 1


def script(view: TextView) -> Verdict:
    """Drops `other_script`: less than `min_script_share` of the letters are the language's own."""
    if own_script_share(view.text, view.profile.script) < view.limits.min_script_share:
        return drop("other_script")
    return KEEP
