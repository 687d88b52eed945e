"""What running text looks like, after Gopher's quality rules (Rae et al. 2021, §A.1.1), on units instead of words.

Statistics of words say nothing of a handful of them, so texts below MIN_UNITS words' worth pass.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ...lang.profile import load_profile
from ...lang.units import unit_hash
from ..characters import BULLET, LETTER
from ..kernels import loops
from ..phrases import among
from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 1
MIN_UNITS, MIN_LINES = 50, 5
"""Gopher asks for 50 words before anything else."""
_ELLIPSES = ("...", "…")


def gopher(view: TextView) -> Verdict:
    """Drops `strange_words` (too short or long on average), `too_many_hashes` (`#` and ellipses), `bullet_list`,
    `cut_off_lines` (ending in an ellipsis), `few_letters` (units without one) and `no_stop_words`."""
    return judge(view, RULES)


def _long_enough(view: TextView) -> bool:
    return len(view.units) >= MIN_UNITS * view.word_units


def _unit_length(view: TextView) -> float | None:
    """Mean characters of a word, in spaced languages."""
    if not view.profile.spaced or not _long_enough(view):
        return None
    return float((view.units.ends_U - view.units.starts_U).mean())


def _hash_ratio(view: TextView) -> float | None:
    """`#` and ellipses for each unit."""
    if not _long_enough(view):
        return None
    return (view.text.count("#") + sum(view.text.count(mark) for mark in _ELLIPSES)) / len(view.units)


def _bullet_lines(view: TextView) -> float | None:
    """Share of lines that start with a bullet; a dash is none, it starts speech in half the region's languages."""
    if len(view.lines) < MIN_LINES:
        return None
    return float((view.kinds_C[view.lines.starts_L] & BULLET > 0).mean())


def _ellipsis_lines(view: TextView) -> float | None:
    if len(view.lines) < MIN_LINES:
        return None
    if not any(mark in view.text for mark in _ELLIPSES):
        return 0.0
    ends = view.lines.ends_L.tolist()
    return sum(view.text.endswith(_ELLIPSES, 0, end) for end in ends) / len(ends)


def _alphabetic(view: TextView) -> float | None:
    """Share of units with a letter in them."""
    if not _long_enough(view):
        return None
    return view.units_with(LETTER) / len(view.units)


def _stop_words(view: TextView) -> float | None:
    """Different stop words of the profile; substrings where words are not set apart, as short words are in longer."""
    if not _long_enough(view):
        return None
    if not view.profile.spaced:
        return sum(word in view.text for word in view.profile.stop_words)
    known, weights = _stop_hashes(view.profile.code)
    if (compiled := loops("shares")) is not None:
        return compiled.different_among(view.folded.hashes_U, known, weights)
    return int(weights[among(known, view.folded.counted[0])].sum())


@cache
def _stop_hashes(code: str) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the stop words, sorted, and how often each is in the profile."""
    hashes = [unit_hash(word.lower()) for word in load_profile(code).stop_words]
    known, times = np.unique(np.array(hashes, np.uint64), return_counts=True)
    return known, times


RULES = (
    Rule("strange_words", "min_unit_length", _unit_length),
    Rule("strange_words", "max_unit_length", _unit_length),
    Rule("too_many_hashes", "max_hash_ratio", _hash_ratio),
    Rule("bullet_list", "max_bullet_line_share", _bullet_lines),
    Rule("cut_off_lines", "max_ellipsis_line_share", _ellipsis_lines),
    Rule("few_letters", "min_alphabetic_share", _alphabetic),
    Rule("no_stop_words", "min_stop_words", _stop_words),
)
