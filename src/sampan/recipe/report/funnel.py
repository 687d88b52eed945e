"""The corpus funnel: what went into each step, what stayed, and what was dropped for which reason in which language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .charts import BAR_WIDTH, scale_row
from .data import ReportData, StageView
from .dropped import both_table, sample_folds, source_table
from .markup import Raw, breakable, count, figure, join, scroll_table, share, tag, words

PATTERNS = 12
"""Distinct fills for reasons; the least frequent reasons share the last one."""
_UNITS = ("documents", "conversations", "preferences")


@dataclass(frozen=True)
class Flow:
    """One step: rows kept and dropped, by language."""

    stage: StageView
    kept: Mapping[str, int]
    dropped: Mapping[str, Mapping[str, int]]

    @property
    def out(self) -> int:
        return sum(self.kept.values())

    @property
    def lost(self) -> int:
        return sum(sum(by.values()) for by in self.dropped.values())

    def lost_in(self, language: str) -> int:
        return sum(by.get(language, 0) for by in self.dropped.values())


def flow(stage: StageView) -> Flow | None:
    """A stage's counts, None if it has no summary. Counts may be plain numbers or {"documents": n}."""
    by_language = stage.summary.get("by_language")
    dropped = stage.summary.get("dropped") or {}
    if not by_language and not dropped:
        return None
    kept = {code: _rows(value) for code, value in (by_language or {}).items()}
    losses = {r: dict(by) if isinstance(by, Mapping) else {"": _rows(by)} for r, by in dropped.items()}
    return Flow(stage, kept, losses)


def _rows(value: Any) -> int:
    return int(value.get("documents", value.get("rows", 0))) if isinstance(value, Mapping) else int(value)


def charts(data: ReportData) -> list[Raw]:
    """For each kind of rows the funnel over all steps, then each step that dropped something, by language."""
    out = []
    for unit in _UNITS:
        flows = [f for stage in data.stages if stage.kind == unit and (f := flow(stage)) is not None]
        if not flows:
            continue
        reasons = _reasons(flows)
        out.append(_steps(data, flows, unit, reasons))
        cards = [_by_language(data, f, unit, reasons) for f in flows if f.lost]
        if cards:
            out.append(tag("div", cards, class_="cards"))
        for one in flows:
            if (folds := sample_folds(data, one.stage, _languages(data, [one]))) is not None:
                out.append(folds)
    return out


def _reasons(flows: Sequence[Flow]) -> dict[str, int]:
    """Every reason with the number of its fill, the most frequent first."""
    total: Counter[str] = Counter()
    for one in flows:
        total.update({reason: sum(by.values()) for reason, by in one.dropped.items()})
    order = sorted(total, key=lambda reason: (-total[reason], reason))
    return {reason: min(index, PATTERNS - 1) for index, reason in enumerate(order) if total[reason]}


def _legend(reasons: Mapping[str, int], unit: str) -> Raw:
    items = [tag("li", _swatch("kept"), f"{unit} kept")]
    items += [tag("li", _swatch("", f"url(#drop-{fill})"), words(reason)) for reason, fill in reasons.items()]
    return tag("ul", items, class_="legend")


def _swatch(class_: str, fill: str | None = None) -> Raw:
    box = tag("rect", x="0.5", y="0.5", width="21", height="13", class_=class_ or "drop", fill=fill)
    return tag("svg", box, width="22", height="14", aria_hidden="true")


def _stack(kept: int, dropped: Mapping[str, int], reasons: Mapping[str, int], top: int, width: float, text: str) -> Raw:
    """One stacked bar: kept, then each reason; `top` rows fill `width` percent; `text` stands at the end."""
    marks, at = [], 0.0
    parts = [("kept", None, kept), *(("drop", f"url(#drop-{reasons[r]})", dropped.get(r, 0)) for r in reasons)]
    for class_, fill, rows in parts:
        if rows:
            wide = width * rows / top if top else 0
            marks.append(tag("rect", x=f"{at:.2f}%", y=2, width=f"{wide:.2f}%", height=16, class_=class_, fill=fill))
            at += wide
    marks.append(tag("text", text, x=f"{at:.2f}%", dx="6", y=14, class_="bar-text"))
    return tag("svg", marks, width="100%", height=20, aria_hidden="true")


def _steps(data: ReportData, flows: Sequence[Flow], unit: str, reasons: Mapping[str, int]) -> Raw:
    top = max(one.out + one.lost for one in flows)
    body = [_legend(reasons, unit)]
    for one in flows:
        losses = {reason: sum(by.values()) for reason, by in one.dropped.items()}
        label = tag("div", breakable(one.stage.name), tag("small", breakable(one.stage.stage)), class_="bar-label")
        body.append(
            tag("div", label, _stack(one.out, losses, reasons, top, BAR_WIDTH, count(one.out)), class_="bar-row")
        )
    body.append(scale_row(top, unit))
    codes = _languages(data, flows)
    head = ["Step", "In", "Out", "Dropped", *(data.name_of(code) for code in codes)]
    rows = [
        [one.stage.name, one.out + one.lost, one.out, one.lost, *(one.kept.get(code, 0) for code in codes)]
        for one in flows
    ]
    return figure(
        f"{unit.capitalize()} after each step",
        *body,
        note=f"The whole bar is what went in; the number is what came out ({unit}). The table counts what came out "
        "by language.",
        table=scroll_table(head, rows, label=f"{unit.capitalize()} after each step"),
        class_="wide",
    )


def _languages(data: ReportData, flows: Sequence[Flow]) -> list[str]:
    """Languages that occur, in the report's order, others after them by code."""
    present = {code for one in flows for code in (*one.kept, *(c for by in one.dropped.values() for c in by))}
    listed = [code for code in data.languages if code in present]
    return listed + sorted(present - set(listed))


def _by_language(data: ReportData, one: Flow, unit: str, reasons: Mapping[str, int]) -> Raw:
    """Shares kept and dropped in each language at one step, with the counts as a table."""
    own = {reason: fill for reason, fill in reasons.items() if any(one.dropped.get(reason, {}).values())}
    codes = [code for code in _languages(data, [one]) if one.kept.get(code, 0) + one.lost_in(code)]
    body = [_legend(own, unit)]
    for code in codes:
        kept, into = one.kept.get(code, 0), one.kept.get(code, 0) + one.lost_in(code)
        losses = {reason: one.dropped[reason].get(code, 0) for reason in own}
        label = tag("div", data.name_of(code), class_="bar-label")
        bar = _stack(kept, losses, own, into, 76, share(kept, into))
        body.append(tag("div", label, bar, class_="bar-row"))
    head = ["Language", "In", "Kept", *(words(reason) for reason in own)]
    rows = [
        [data.name_of(c), one.kept.get(c, 0) + one.lost_in(c), one.kept.get(c, 0)]
        + [one.dropped[reason].get(c, 0) for reason in own]
        for c in codes
    ]
    return figure(
        f"What {one.stage.name} dropped",
        *body,
        note=f"Share of each language's {unit} kept and dropped; the number is the share kept.",
        table=join(
            scroll_table(head, rows, label=f"What {one.stage.name} dropped"),
            source_table(one.stage, list(own)),
            both_table(data, one.stage, codes),
        ),
    )
