"""Processes that evaluate together, one for each GPU, as `--processes` starts them.

They meet in files of the stage's unfinished work and nowhere else. Every process walks the same units (a model, or a
task on a model) and takes one that nobody is at; one that finds none left helps with those that are begun, whose rows
are cut into pieces for that. Where they are cut depends on the rows alone, so that results are the same bits for any
number of processes, and a killed run goes on after the last finished piece.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.stage import Runtime
from ..store.locks import taken
from .resume import kept

PAIRS, PROMPTS, DOCUMENTS = 2048, 256, 128
"""Rows of one piece: continuations to score, prompts to answer, held-out documents. Ours."""
_POLL_SECONDS = 0.05

Progress = Callable[[int, int], None]
Work = Callable[[Sequence[Any], int, Progress], list]


class Team:
    """This process among those of its run; `device` is its own."""

    def __init__(self, runtime: Runtime) -> None:
        self.device, self._state = runtime.own_device, runtime.state
        self._alone = runtime.spread.processes == 1
        self._unit, self._calls = "", 0

    def units(
        self, names: Sequence[str], work: Callable[[int], Mapping[str, Any]], *, cuts: bool = True
    ) -> list[Mapping[str, Any]]:
        """What `work(number)` gives as JSON for every unit, each kept under its name; `cuts` says whether its rows come
        to `cut`, so that several processes can be at it."""

        def do(number: int) -> Mapping[str, Any]:
            self._unit, self._calls = names[number], 0
            return kept(self._state / f"{names[number]}.json", lambda: work(number))

        for number, name in enumerate(names):
            with taken(self._state / f"{name}.lock") as mine:
                if mine:
                    do(number)
        found = []
        for number, name in enumerate(names):
            with taken(self._state / f"{name}.lock", wait=not cuts):
                found.append(do(number))
        return found

    def cut(self, rows: Sequence[Any], size: int, work: Work, progress: Progress) -> list:
        """One JSON value for each row: `work(piece, its first row's number, progress)` gives those of `size` rows.

        Every process of the run calls this with the same rows, gets all values, and computes some.
        """
        self._calls += 1
        starts = range(0, len(rows), size)

        def do(start: int) -> list:
            piece = rows[start : start + size]
            return work(piece, start, lambda done, of: progress(start + len(piece) * done // max(1, of), len(rows)))

        if self._alone and len(starts) == 1:
            return do(0)
        found: dict[int, list] = {}
        while len(found) < len(starts):
            before = len(found)
            for start in starts:
                path = self._state / "pieces" / f"{self._unit}-{self._calls}-{start}.json"
                with taken(path.with_suffix(".lock")) as mine:
                    if start not in found and (mine or path.is_file()):
                        found[start] = kept(path, lambda start=start: {"values": do(start)})["values"]
            if len(found) == before:
                time.sleep(_POLL_SECONDS)
        return [value for start in starts for value in found[start]]


def whole(rows: Sequence[Any], size: int, work: Work, progress: Progress) -> list:
    """As `Team.cut` for rows that stay together."""
    return work(rows, 0, progress)
