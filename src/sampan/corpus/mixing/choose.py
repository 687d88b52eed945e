"""Which documents fill a budget: every one so many times, and once more those whose places come first.

The place up to which documents are taken is found exactly in two passes over the rows that counting left on disk: one
adds sizes up in coarse bins of places, the other reads only the bin in which the budget ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .count import ROWS

_BITS = 12
"""Bins are 2^12: some 250,000 of a thousand million documents fall into the one that is read."""


@dataclass(frozen=True)
class Choice:
    """Take every document `copies` times, and those with a place below `below` once more; `size` in all."""

    copies: int
    below: int
    size: int


def choose(
    folders: Sequence[Path],
    units: Sequence[Sequence[int]],
    available: Mapping[int, int],
    budgets: Mapping[int, int],
) -> dict[int, Choice]:
    """The choice that fills each unit's budget, short of it by less than the next document.

    `units[f][c]` is the unit of cell c in folder f, -1 for none; `available` and `budgets` are sizes by unit.
    """
    wanted = {unit: divmod(budgets[unit], size) for unit, size in available.items() if size}
    bins = _bin_sums(folders, units, 1 + max(available, default=0))
    edges, before = {}, {}
    for unit, (_, rest) in wanted.items():
        ends = np.cumsum(bins[unit])
        edges[unit] = int(np.searchsorted(ends, rest, "right"))
        before[unit] = int(ends[edges[unit] - 1]) if edges[unit] else 0
    inside = _edge_rows(folders, units, edges)
    choices = {}
    for unit, (copies, rest) in wanted.items():
        below, used = _cut(inside.get(unit), rest - before[unit], edges[unit])
        choices[unit] = Choice(copies, below, copies * available[unit] + before[unit] + used)
    return choices


def _rows(folders: Sequence[Path], units: Sequence[Sequence[int]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Per folder the rows that belong to a unit, and their units."""
    for folder, table in zip(folders, units, strict=True):
        rows = np.load(folder / ROWS)
        unit = np.asarray(table, np.int64)[rows["cell"]] if len(table) else np.empty(0, np.int64)
        yield rows[unit >= 0], unit[unit >= 0]


def _bin_sums(folders: Sequence[Path], units: Sequence[Sequence[int]], count: int) -> np.ndarray:
    sums = np.zeros((count, 1 << _BITS), np.int64)
    for rows, unit in _rows(folders, units):
        np.add.at(sums, (unit, (rows["place"] >> np.uint64(64 - _BITS)).astype(np.int64)), rows["size"])
    return sums


def _edge_rows(
    folders: Sequence[Path], units: Sequence[Sequence[int]], edges: Mapping[int, int]
) -> dict[int, list[np.ndarray]]:
    """The rows of each unit that lie in its edge bin."""
    edge = np.full(1 + max(edges, default=0), -1, np.int64)
    for unit, number in edges.items():
        edge[unit] = number
    found: dict[int, list[np.ndarray]] = {}
    for rows, unit in _rows(folders, units):
        near = (rows["place"] >> np.uint64(64 - _BITS)).astype(np.int64) == edge[unit]
        for number in np.unique(unit[near]):
            found.setdefault(int(number), []).append(rows[near & (unit == number)])
    return found


def _cut(parts: list[np.ndarray] | None, rest: int, edge: int) -> tuple[int, int]:
    """(place below which rows are taken, their size) for the rows of an edge bin; equal places stay together."""
    if parts is None:
        return edge << (64 - _BITS), 0
    rows = np.concatenate(parts)
    places, number = np.unique(rows["place"], return_inverse=True)
    sizes = np.zeros(len(places), np.int64)
    np.add.at(sizes, number, rows["size"])
    ends = np.cumsum(sizes)
    taken = int(np.searchsorted(ends, rest, "right"))
    below = int(places[taken]) if taken < len(places) else (edge + 1) << (64 - _BITS)
    return below, int(ends[taken - 1]) if taken else 0
