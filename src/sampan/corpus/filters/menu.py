"""Navigation, tag clouds, price lists: runs of short lines that are no sentences."""

from __future__ import annotations

import numpy as np

from ..characters import PAUSE
from ..kernels import loops
from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 2
MAX_WORDS, MAX_CLUSTERS, MIN_RUN = 3, 7, 6
"""Ours: verse and dialogue have short lines too, and Thai and Lao sentences no full stop, so only long runs of very
short lines count."""


def menu(view: TextView) -> Verdict:
    """Drops `menu`: too many of the characters stand in runs of at least MIN_RUN short lines without punctuation."""
    return judge(view, RULES)


def _menu_share(view: TextView) -> float | None:
    """Share of the lines' characters in such runs."""
    if not len(view.lines):
        return None
    most = MAX_WORDS if view.profile.spaced else MAX_CLUSTERS
    if (compiled := loops("shares")) is not None:
        lines, units = view.lines, view.units
        inside, total = compiled.menu_characters(
            view.kinds_C, PAUSE, lines.starts_L, lines.ends_L, units.starts_U, most, MIN_RUN
        )
        return inside / total
    entry = np.zeros(len(view.lines) + 2, bool)
    entry[1:-1] = (view.units_by_line <= most) & (view.count_by_line(PAUSE) == 0)
    edges = np.flatnonzero(entry[1:] != entry[:-1])
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= MIN_RUN
    sums = np.append(0, np.cumsum(view.lines.lengths_L))
    return float((sums[ends[long]] - sums[starts[long]]).sum() / sums[-1])


RULES = (Rule("menu", "max_menu_share", _menu_share),)
