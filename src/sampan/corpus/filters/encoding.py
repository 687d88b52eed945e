"""Text whose characters are not what they should be: Zawgyi Burmese, and replacement characters of a wrong decoding."""

from __future__ import annotations

from ...lang.zawgyi import zawgyi_share
from ..verdict import KEEP, Verdict, drop
from ..view import TextView

REVISION = 2
MAX_REPLACEMENT_SHARE = 0.005
"""Ours: a page decoded wrongly loses far more; a copy accident loses one or two characters."""
MAX_ZAWGYI_SHARE = 0.5


def encoding(view: TextView) -> Verdict:
    """Drops `zawgyi` (see `lang.zawgyi`) and `wrong_encoding` (more than one U+FFFD in 200 characters)."""
    if view.text.count("\ufffd") > max(1, MAX_REPLACEMENT_SHARE * view.characters):
        return drop("wrong_encoding")
    if view.profile.script == "Mymr" and zawgyi_share(view.text) > MAX_ZAWGYI_SHARE:
        return drop("zawgyi")
    return KEEP
