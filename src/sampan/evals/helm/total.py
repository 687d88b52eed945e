"""SEA-HELM's totals: task → group → competency → language → overall, all plain means, over what was run.

A task that was not run is named with its reason and leaves the mean; it is never a zero. LINDSEA is a competency of its
own kind: the mean of minimal pairs and of pragmatics, whose two tasks' items are pooled by phenomenon (by
log-probability: averaged by task and then by phenomenon); other tasks that the repository files under it
(criteria-based syntax) do not enter, as in the official code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...artifacts.profile_table import LANGUAGE, OVERALL, Cell
from ..marks import Mark, mean
from .marks import by_phenomenon
from .tasks import SeaTask

LINDSEA = "linguistic-diagnostics"
PRAGMATICS = "pragmatics"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A task's part of the total: a mark, or for a half of pragmatics its items; or why there is none."""

    task: SeaTask
    mark: Mark | None = None
    phenomena: tuple[tuple[str, float], ...] = ()
    why_not: str = ""

    @property
    def ran(self) -> bool:
        return self.mark is not None or bool(self.phenomena)


def totals(results: Sequence[Result]) -> list[Cell]:
    """Cells of every language in order, each with its competencies and then its total; the overall score last."""
    cells, languages = [], []
    for language in dict.fromkeys(result.task.language for result in results):
        own = [result for result in results if result.task.language == language]
        row = [
            _competency(competency, [result for result in own if result.task.competency == competency])
            for competency in dict.fromkeys(result.task.competency for result in own)
        ]
        languages.append(_mean_cell(row, language, LANGUAGE))
        cells += [*row, languages[-1]]
    return [*cells, _mean_cell(languages, "", OVERALL)] if languages else []


def _competency(name: str, results: Sequence[Result]) -> Cell:
    parts = _lindsea(results) if name == LINDSEA else _groups(results)
    value, error = _plain([(mark.value, mark.stderr) for mark in parts])
    return Cell(
        language=results[0].task.language,
        competency=name,
        value=value,
        stderr=error,
        n=sum(mark.n for mark in parts),
        ran=[result.task.name for result in results if result.ran],
        not_run={result.task.name: result.why_not for result in results if not result.ran},
    )


def _groups(results: Sequence[Result]) -> list[Mark]:
    """Marks of the tasks, those of one group averaged."""
    groups: dict[str, list[tuple[Mark, int]]] = {}
    for result in results:
        if result.mark:
            weight = result.mark.n if result.task.by_items else 1
            groups.setdefault(result.task.group or f"\0{result.task.name}", []).append((result.mark, weight))
    return [_weighted(members) for members in groups.values()]


def _weighted(members: Sequence[tuple[Mark, int]]) -> Mark:
    total = sum(weight for _, weight in members)
    value = math.fsum(mark.value * weight for mark, weight in members) / total
    errors = [mark.stderr * weight / total for mark, weight in members if mark.stderr is not None]
    error = math.hypot(*errors) if len(errors) == len(members) else None
    return Mark("group", value, error, sum(mark.n for mark, _ in members))


def _lindsea(results: Sequence[Result]) -> list[Mark]:
    parts = [result.mark for result in results if result.task.kind in ("pair", "likelihood") and result.mark]
    pooled = [item for result in results for item in result.phenomena if result.task.kind == "pragmatic"]
    by_likelihood = [result.phenomena for result in results if result.task.kind == "pragmatic_likelihood"]
    parts += [by_phenomenon(pooled, 0.5)] if pooled else []
    return parts + ([_mean_probability(by_likelihood)] if any(by_likelihood) else [])


def _mean_probability(halves: Sequence[Sequence[tuple[str, float]]]) -> Mark:
    """The mean over phenomena of the mean over tasks of their items' mean."""
    marks: dict[str, list[Mark]] = {}
    for told in halves:
        for kind in dict.fromkeys(kind for kind, _ in told):
            marks.setdefault(kind, []).append(mean("probability", [value for other, value in told if other == kind]))
    kinds = [_plain([(mark.value, mark.stderr) for mark in own]) for own in marks.values()]
    value, error = _plain(kinds)
    return Mark("probability", value, error, sum(map(len, halves)))


def _mean_cell(cells: Sequence[Cell], language: str, name: str) -> Cell:
    value, error = _plain([(cell.value, cell.stderr) for cell in cells if cell.value is not None])
    overall = name == OVERALL
    ran = [f"{cell.language}/{task}" if overall else task for cell in cells for task in cell.ran]
    missing = {
        f"{cell.language}/{task}" if overall else task: why for cell in cells for task, why in cell.not_run.items()
    }
    return Cell(
        language=language,
        competency=name,
        value=value,
        stderr=error,
        n=sum(cell.n for cell in cells),
        ran=ran,
        not_run=missing,
    )


def _plain(parts: Sequence[tuple[float, float | None]]) -> tuple[float | None, float | None]:
    """Mean and its error, the parts' errors being independent; None without parts."""
    if not parts:
        return None, None
    value = math.fsum(value for value, _ in parts) / len(parts)
    known = [error for _, error in parts if error is not None]
    return value, math.hypot(*known) / len(parts) if len(known) == len(parts) else None
