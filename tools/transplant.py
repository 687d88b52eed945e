"""A page with the main part of another: new combinations of a site's frame and an article, for training."""

from __future__ import annotations

from typing import Any

import numpy as np

from sampan.crawl.blocks import HINT_WORD_BITS, Layout

_HOLDS = 0.95
"""Share of the gold text that the main part of a page holds."""
_NAMELESS = 0.25
"""Share of the new pages that lose the hints of their class names, so that these are not relied on alone."""


def main_part(row: Any) -> int:
    """The element with the fewest blocks that holds nearly all of the gold text; 0, the page, if none is smaller."""
    layout, wanted = row.layout, row.target * row.page.mass
    running = np.concatenate([[0.0], np.cumsum(wanted)])
    holding = np.flatnonzero(running[layout.end] - running[layout.first] >= _HOLDS * running[-1])
    sizes = (layout.end - layout.first)[holding]
    return int(holding[sizes.argmin()])


def after(layout: Layout, element: int) -> int:
    """The first element in reading order that is not inside `element`."""
    later = np.flatnonzero(layout.depth[element + 1 :] <= layout.depth[element])
    return int(later[0]) + element + 1 if len(later) else len(layout.depth)


def transplant(
    frame: Any, other: Any, draw: np.random.Generator
) -> tuple[Layout, np.ndarray, np.ndarray, np.ndarray] | None:
    """The layout, targets, known labels and marks of others' opinions of `frame` with the main part of `other`; None
    where either has none."""
    a, b = frame.layout, other.layout
    root, graft = main_part(frame), main_part(other)
    if not root or not graft:
        return None
    stop, graft_stop = after(a, root), after(b, graft)
    first, end = int(a.first[root]), int(a.end[root])
    graft_first, graft_end = int(b.first[graft]), int(b.end[graft])
    elements, blocks = graft_stop - graft - (stop - root), graft_end - graft_first - (end - first)

    def joined(ours: Any, theirs: Any) -> np.ndarray:
        return np.concatenate([ours[:first], theirs[graft_first:graft_end], ours[end:]])

    def over(ours: Any, theirs: Any) -> np.ndarray:
        return np.concatenate([ours[:root], theirs, ours[stop:]])

    def moved(numbers: np.ndarray) -> np.ndarray:
        return np.where(numbers < root, numbers, numbers + elements)

    parents = b.parent[graft:graft_stop] - graft + root
    parents[0] = a.parent[root]
    hints = over(a.hints, b.hints[graft:graft_stop])
    if draw.random() < 0.5:
        hints[root] = a.hints[root]
    if draw.random() < _NAMELESS:
        hints &= ~HINT_WORD_BITS
    shift = {
        edge: np.where(getattr(a, edge) >= end, getattr(a, edge) + blocks, getattr(a, edge))
        for edge in ("first", "end")
    }
    layout = Layout(
        texts=a.texts[:first] + b.texts[graft_first:graft_end] + a.texts[end:],
        links=joined(a.links, b.links),
        linked=joined(a.linked, b.linked),
        place=joined(moved(a.place), b.place - graft + root),
        parent=over(moved(a.parent), parents),
        tag=over(a.tag, b.tag[graft:graft_stop]),
        hints=hints,
        depth=over(a.depth, b.depth[graft:graft_stop] - b.depth[graft] + a.depth[root]),
        first=over(shift["first"], b.first[graft:graft_stop] - graft_first + first),
        end=over(shift["end"], b.end[graft:graft_stop] - graft_first + first),
    )
    return (
        layout,
        joined(frame.target, other.target),
        joined(frame.known, other.known),
        joined(frame.marks, other.marks),
    )
