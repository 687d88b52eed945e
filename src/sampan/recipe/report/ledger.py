"""What each step taught and what it forgot: every step's sure gains and losses as a picture, all of them as a table."""

from __future__ import annotations

from collections.abc import Sequence

from ...evals.ledger import Change, changes, settled
from .data import ReportData
from .markup import Raw, breakable, figure, join, number, scroll_table, tag, words
from .scoreboard import parent_of

_MOST_BARS = 14
"""Sure changes that a step's picture shows, the surest first."""
_REACH = 45
"""Percent of the picture's width that the longest bar takes on either side."""


def entries(data: ReportData) -> list[Change]:
    """All changes between scored models and the nearest ones that they were made from and that have the same score."""
    groups: dict[tuple[str, str], list] = {}
    for score in data.scores:
        groups.setdefault((score.task, score.metric), []).append(score)
    found = []
    for rows in groups.values():
        scored = {score.model for score in rows}
        parents = {model: parent for model in scored if (parent := parent_of(data, model, scored))}
        found += changes(rows, data.asked, data.item_values, parents)
    return settled(found)


def section(data: ReportData) -> Raw | None:
    """One block a step, in lineage order; None if no step can be compared."""
    found = entries(data)
    order = {stage.name: place for place, stage in enumerate(data.stages)}
    steps = {(change.child, change.parent) for change in found}
    if not steps:
        return None
    intro = (
        "A step's model against the one it was made from, on the same items. A change counts as sure where the paired "
        "test passes at a false discovery rate of 5 % over all scores of the step; errors allow for items that share a "
        "passage."
    )
    lineage = sorted(steps, key=lambda step: (*(order.get(name, -1) for name in step), step))
    blocks = [_step(data, [c for c in found if (c.child, c.parent) == step]) for step in lineage]
    return join(tag("p", intro, class_="note"), *blocks)


def _step(data: ReportData, step: Sequence[Change]) -> Raw:
    first = step[0]
    sure = [change for change in step if change.sure]
    gained, lost = sum(c.gain > 0 for c in sure), sum(c.gain < 0 for c in sure)
    note = f"{gained} surely gained, {lost} surely lost, {len(step) - len(sure)} within the error."
    title = f"{first.parent} → {first.child}"
    table = _table(data, step)
    shown = sorted(sure, key=lambda c: c.p_value)[:_MOST_BARS]
    if not shown:
        return tag("div", tag("h3", title), tag("p", note, class_="note"), _folded(table))
    shown.sort(key=lambda c: -_strength(c))
    if len(shown) < len(sure):
        note += f" The picture shows the surest {len(shown)}."
    top = max(abs(_strength(change)) for change in shown)
    bars = [_bar(data, change, top) for change in shown]
    scale = tag(
        "p", "Bars: the change over its standard error; taught to the right, forgot to the left.", class_="note"
    )
    return figure(title, *bars, scale, table=table, note=note, class_="wide")


def _folded(table: Raw) -> Raw:
    return tag("details", tag("summary", "Show as a table"), table, class_="alt")


def _strength(change: Change) -> float:
    """Gain in standard errors; 99 where every item agrees and the error is zero."""
    if change.stderr == 0:
        return 99.0 if change.gain > 0 else -99.0
    return max(-99.0, min(99.0, change.gain / change.stderr))


def _bar(data: ReportData, change: Change, top: float) -> Raw:
    width = _REACH * abs(_strength(change)) / top
    better = change.gain > 0
    start = 50 if better else 50 - width
    marks = [
        tag(
            "rect", x=f"{start:.2f}%", y="3", width=f"{width:.2f}%", height="15", class_="after" if better else "before"
        ),
        tag("line", x1="50%", x2="50%", y1="0", y2="21", class_="axis"),
        # The number stands on the free side of the axis, where no bar can cover it.
        tag(
            "text",
            f"{'▲' if better else '▼'} {_signed(change.after - change.before)}",
            x="49%" if better else "51%",
            y="15",
            text_anchor="end" if better else "start",
            class_="bar-text",
        ),
    ]
    label = join(words(f"{change.task}: {change.metric}"), tag("small", data.name_of(change.language)))
    svg = tag("svg", marks, width="100%", height=22, aria_hidden="true")
    return tag("div", tag("div", label, class_="bar-label"), svg, class_="bar-row")


def _table(data: ReportData, step: Sequence[Change]) -> Raw:
    rows = []
    for change in sorted(step, key=lambda c: (c.task, c.metric, c.language)):
        glyph = "=" if change.gain == 0 else ("▲" if change.gain > 0 else "▼")
        if not change.sure and change.gain:
            glyph = "△" if change.gain > 0 else "▽"
        tint = "" if not change.sure else (" gain-2" if change.gain > 0 else " loss-2")
        rows.append(
            [
                tag("th", breakable(change.task), tag("small", words(change.metric)), scope="row"),
                data.name_of(change.language),
                number(change.before),
                number(change.after),
                tag("td", f"{glyph} {_signed(change.after - change.before)}", class_=f"score{tint}"),
                f"±{number(change.stderr, 2)}",
                "< 0.001" if change.p_value < 0.001 else f"{change.p_value:.3f}",
                str(change.n),
                "same items" if change.paired else "two figures",
            ]
        )
    head = ["Skill", "Language", "Before", "After", "Change", "Error", "p", "n", "Compared"]
    return scroll_table(head, rows, label="Gains and losses")


def _signed(value: float) -> str:
    text = number(value, 3)
    return (f"+{text}" if value > 0 else text).replace("-", "−")
