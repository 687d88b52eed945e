"""Where a curve of cost against size bends: two named rules."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

Point = tuple[float, float]


def chord_knee(points: Sequence[Point]) -> Point | None:
    """The point farthest below the straight line from the first to the last (both axes scaled to 0 to 1), which is
    Kneedle's rule for a convex falling curve (Satopää et al. 2011); None unless the curve falls and has three points.
    """
    if len(points) < 3:
        return None
    (x0, y0), (x1, y1) = points[0], points[-1]
    if x1 <= x0 or y1 >= y0:
        return None
    depth = [(y0 - y) / (y0 - y1) - (x - x0) / (x1 - x0) for x, y in points]
    best = max(range(len(points)), key=lambda index: (depth[index], -index))
    return points[best] if depth[best] > 0 else None


def saving_knee(points: Sequence[Point], *, per: float = 1000.0, least: float = 0.01) -> Point | None:
    """The first point after which `per` more pieces save less than `least` of the tokens, all the way to the end; None
    if the last stretch still saves more. The saving of a stretch is spread evenly over its pieces (as a rate)."""
    enough: Point | None = None
    for (x0, y0), (x1, y1) in reversed(list(itertools.pairwise(points))):
        if x1 <= x0:
            continue
        saved = 1 - (y1 / y0) ** (per / (x1 - x0)) if y0 else 0.0
        if saved >= least:
            return enough
        enough = (x0, y0)
    return enough


def lowest(points: Sequence[Point]) -> Point | None:
    """The point of least cost, the first of equals."""
    return min(points, key=lambda point: (point[1], point[0]), default=None)
