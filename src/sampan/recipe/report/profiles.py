"""Totals of published suites (SEA-HELM, the Open LLM Leaderboard): competency × language, with what was not run."""

from __future__ import annotations

from collections.abc import Sequence

from ...artifacts.profile_table import LANGUAGE, OVERALL, Cell, ProfileTable
from .data import ReportData
from .markup import Raw, breakable, join, number, scroll_table, tag, words


def section(data: ReportData) -> Raw | None:
    """One table for each profile; None if no model was examined by one."""
    return join(*(_table(data, table) for table in data.profiles)) if data.profiles else None


def totals_only(data: ReportData) -> set[str]:
    """Tasks of the scoreboard whose competencies stand in this section."""
    return {table.profile for table in data.profiles}


def _table(data: ReportData, table: ProfileTable) -> Raw:
    whole = [cell for cells in table.cells.values() for cell in cells]
    languages = list(dict.fromkeys(cell.language for cell in whole if cell.language))
    shown = [code for code in data.languages if code in languages]
    columns = [*shown, *(code for code in languages if code not in shown)]
    has_overall = any(cell.competency == OVERALL for cell in whole)
    names = list(dict.fromkeys(c.competency for c in whole if c.competency not in (LANGUAGE, OVERALL)))
    order = [stage.name for stage in data.stages if stage.name in table.cells]
    rows = []
    for model in [*order, *sorted(set(table.cells) - set(order))]:
        cells = {(cell.language, cell.competency): cell for cell in table.cells[model]}
        for name in [*names, LANGUAGE]:
            title = "Mean of the competencies" if name == LANGUAGE else words(name, title=True)
            own = [_cell(cells.get((code, name))) for code in columns]
            if has_overall:
                own.append(_cell(cells.get(("", OVERALL))) if name == LANGUAGE else tag("td", class_="num"))
            rows.append([tag("th", breakable(model), tag("small", title), scope="row"), *own])
    head = ["Model", *(data.name_of(code) for code in columns), *(["Overall"] if has_overall else [])]
    title = words(table.profile, title=True)
    note = (
        "From 0 (guessing) to 100, ± standard error. A number with less than all of its tasks is a mean over those "
        "that were run and is not comparable with a published one; what was not run counts nowhere as zero."
    )
    parts = [
        tag("h3", title),
        tag("p", note, class_="note"),
        scroll_table(head, rows, label=title),
        _reasons(table, data),
    ]
    return tag("div", parts)


def _cell(cell: Cell | None) -> Raw:
    if cell is None:
        return tag("td", "–", class_="num")
    tasks = len(cell.ran) + len(cell.not_run)
    coverage = tag("small", f"{len(cell.ran)} of {tasks} tasks") if cell.not_run else None
    if cell.value is None:
        return tag("td", "not run", coverage, class_="num")
    error = f" ± {number(cell.stderr, 2)}" if cell.stderr is not None else ""
    return tag("td", f"{cell.value:.2f}{error}", coverage, class_="num", title=f"n = {cell.n}")


def _reasons(table: ProfileTable, data: ReportData) -> Raw | None:
    """What was not run and why, each reason once."""
    found: dict[str, dict[str, None]] = {}
    for cells in table.cells.values():
        for cell in cells:
            if cell.competency not in (LANGUAGE, OVERALL):
                for task, why in cell.not_run.items():
                    found.setdefault(why, {})[f"{task} ({data.name_of(cell.language)})"] = None
    if not found:
        return None
    return tag(
        "details",
        tag("summary", "What was not run"),
        tag("ul", [tag("li", f"{why}: {_listed(list(tasks))}") for why, tasks in found.items()]),
    )


def _listed(names: Sequence[str], most: int = 40) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
