"""Chat benchmarks: a table of categories and languages for each model, how much of it rests on verdicts, and how the
judge leans to the answer it sees first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .data import ReportData, StageView
from .markup import Raw, breakable, count, join, number, scroll_table, share, tag, words

ALL = ""


def section(data: ReportData) -> Raw | None:
    """One block for each judged benchmark; None without one."""
    blocks = [_benchmark(data, stage) for stage in data.stages if stage.judged]
    return join(*blocks) if blocks else None


def _benchmark(data: ReportData, stage: StageView) -> Raw:
    told = stage.judged
    against = f", compared with {told['opponent']}" if told["opponent"] else ""
    note = (
        f"{told['paper']}. Judge: {told['judge']}{against}. A grade or rate is only worth what its judge is: compare "
        "models under the same judge."
    )
    tables = [_table(data, stage, table) for table in told["tables"] if table["metric"] in told["headlines"]]
    others = [_others(data, stage)] if len(told["tables"]) > len(told["headlines"]) else []
    parts = [*tables, *others, _coverage(data, stage), _leaning(data, stage)]
    return tag("div", tag("h3", stage.name), tag("p", note, class_="note"), parts)


def _table(data: ReportData, stage: StageView, table: Mapping[str, Any]) -> Raw:
    """Rows are models and categories, columns languages; each cell a mean, its error and its verdicts."""
    rows = table["rows"]
    cells = {(row["model"], row["category"], row["language"]): row for row in rows}
    languages = _languages(data, rows)
    categories = list(dict.fromkeys(row["category"] for row in rows))
    body = []
    for model in dict.fromkeys(row["model"] for row in rows):
        for category in [name for name in categories if name != ALL] + [ALL]:
            label = tag("small", category) if category != ALL else tag("small", "all categories")
            found = [cells.get((model, category, language)) for language in languages]
            body.append([tag("th", breakable(model), " ", label, scope="row"), *map(_cell, found)])
    head = ["Model", *("all languages" if code == ALL else data.name_of(code) for code in languages)]
    title = words(table["metric"], title=True)
    low, high = table["scale"]
    scale = tag(
        "p", f"{title}, from {number(low)} to {number(high)}; ± is one standard error, over questions.", class_="note"
    )
    return join(tag("h4", title), scale, scroll_table(head, body, label=f"{stage.name}: {title}"))


def _others(data: ReportData, stage: StageView) -> Raw:
    """The metrics that are not broken down by category."""
    tables = [table for table in stage.judged["tables"] if table["metric"] not in stage.judged["headlines"]]
    languages = _languages(data, [row for table in tables for row in table["rows"]])
    body = []
    for table in tables:
        cells = {(row["model"], row["language"]): row for row in table["rows"] if row["category"] == ALL}
        for model in dict.fromkeys(model for model, _ in cells):
            label = tag("th", breakable(model), " ", tag("small", words(table["metric"])), scope="row")
            body.append([label, *(_cell(cells.get((model, language))) for language in languages)])
    head = ["Model", *("all languages" if code == ALL else data.name_of(code) for code in languages)]
    fold = scroll_table(head, body, label=f"{stage.name}: more figures")
    return tag("details", tag("summary", "By turn, and wins and ties apart"), fold)


def _languages(data: ReportData, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Languages in the report's order, all of them together last."""
    found = {row["language"] for row in rows}
    place = {code: index for index, code in enumerate(data.languages)}
    order = sorted(found - {ALL}, key=lambda code: (place.get(code, len(place)), code))
    return [*order, *([ALL] if ALL in found else [])]


def _cell(row: Mapping[str, Any] | None) -> Raw:
    if row is None:
        return tag("td", "–")
    judged = f"{row['n']} of {row['of']}" if row["n"] < row["of"] else f"n = {row['n']}"
    if row["value"] is None:
        return tag("td", "no verdict", tag("small", judged), class_="num")
    error = f" ± {number(row['stderr'], 2)}" if row["stderr"] is not None else ""
    return tag("td", number(row["value"], 3), tag("small", f"{error} {judged}"), class_="num")


def _coverage(data: ReportData, stage: StageView) -> Raw:
    """What was asked, what came back, and why the rest did not."""
    rows = []
    for row in stage.judged["coverage"]:
        failed = ", ".join(f"{words(why)} {count(n)}" for why, n in row["failed_verdicts"].items()) or "none"
        outcomes = ", ".join(f"{name} {count(n)}" for name, n in row.get("outcomes", {}).items())
        covered = f"{count(row['judged'])} of {count(row['turns'])} ({share(row['judged'], row['turns'])})"
        label = tag("th", breakable(row["model"]), " ", tag("small", row["way"]), scope="row")
        rows.append([label, data.name_of(row["language"]), covered, failed, outcomes or "–"])
    odd = [
        f"{one['model']}: {count(one['turns'])} of {count(one['of'])} turns answered, {one['empty']} empty, "
        f"{one['loops']} going in a circle, {one['cut_prompts']} prompts cut to fit the window"
        + "".join(f", {words(why)} {count(n)}" for why, n in one["failed"].items())
        for one in stage.judged["answers"]
        if one["empty"] or one["loops"] or one["cut_prompts"] or one["turns"] < one["of"]
    ]
    missing = stage.judged["without_reference"]
    if missing:
        odd.append(f"{count(missing)} questions should be judged with a reference and have none")
    head = ["Model", "Language", "Turns judged", "Failed verdicts", "Outcomes"]
    table = scroll_table(head, rows, label=f"{stage.name}: coverage")
    return join(tag("h4", "Coverage"), table, [tag("p", f"{text}.", class_="note") for text in odd])


def _leaning(data: ReportData, stage: StageView) -> Raw | None:
    """How much the order of two answers decided."""
    if not stage.judged["leaning"]:
        return None
    rows = []
    for code, told in stage.judged["leaning"].items():
        error = f" ± {number(told['first_stderr'], 2)}" if told["first_stderr"] is not None else ""
        first = "–" if told["first_rate"] is None else f"{number(told['first_rate'], 3)}{error}"
        flips = "–" if told["flip_rate"] is None else f"{share(told['flips'], told['pairs'])} of {count(told['pairs'])}"
        rows.append(["all" if code == "all" else data.name_of(code), flips, first, count(told["verdicts"])])
    head = ["Language", "Pairs whose verdict flips with the order", "Share for the answer shown first", "of verdicts"]
    note = (
        "A judge that looks at the answers only gives the same verdict in both orders, and half of them to each place."
    )
    table = scroll_table(head, rows, label=f"{stage.name}: position bias")
    return join(tag("h4", "Position bias of the judge"), tag("p", note, class_="note"), table)
