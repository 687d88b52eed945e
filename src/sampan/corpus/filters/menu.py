"""Navigation, tag clouds, price lists: runs of short lines that are no sentences."""

from __future__ import annotations

from ...lang.segment import words
from ..verdict import KEEP, Verdict, drop
from ..view import TextView

REVISION = 1
MAX_WORDS, MAX_CLUSTERS, MIN_RUN = 3, 7, 6
"""Ours: verse and dialogue have short lines too, and Thai and Lao sentences no full stop, so only long runs of very
short lines count."""


def menu(view: TextView) -> Verdict:
    """Drops `menu`: too many of the characters stand in runs of at least MIN_RUN short lines without punctuation."""
    most = MAX_WORDS if view.profile.spaced else MAX_CLUSTERS
    total = menu_characters = run = run_characters = 0
    for line in [*view.lines, None]:
        if line is not None and _looks_like_an_entry(line, view.profile.code, most):
            run, run_characters = run + 1, run_characters + len(line)
        else:
            menu_characters += run_characters if run >= MIN_RUN else 0
            run = run_characters = 0
        total += len(line or "")
    return drop("menu") if total and menu_characters / total > view.limits.max_menu_share else KEEP


def _looks_like_an_entry(line: str, language: str, most: int) -> bool:
    if any(mark in line for mark in ".!?…,;។៕၊။。！？，；") and not line.isdigit():
        return False
    return len(words(line, language)) <= most
