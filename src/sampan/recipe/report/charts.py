"""Fertility bars and loss curves. Marks scale with the page and letters do not; patterns tell fills apart in print."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .data import ReportData, StageView
from .markup import Raw, count, figure, join, number, scroll_table, share, tag, words

_PLOT_W, _PLOT_H = 1000.0, 400.0
_TABLE_ROWS = 12
BAR_WIDTH = 80
"""Percent of the plot that the longest bar takes; the rest is for the number at its end."""
_AXIS = ("step", "tokens", "loss", "lr")


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`, about `about` steps apart."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def bar_row(label: Any, bars: Sequence[tuple[float, str, str]], top: float, *, height: int = 15) -> Raw:
    """A label and its horizontal bars, each (value, class, text at its end), on a scale from 0 to `top`."""
    marks = []
    for index, (value, class_, text) in enumerate(bars):
        y = 2 + index * (height + 3)
        width = f"{BAR_WIDTH * value / top if top else 0:.2f}%"
        marks.append(tag("rect", x="0", y=y, width=width, height=height, class_=class_))
        marks.append(tag("text", text, x=width, dx="5", y=y + height - 3, class_="bar-text"))
    tall = 4 + len(bars) * (height + 3)
    svg = tag("svg", marks, width="100%", height=tall, aria_hidden="true")
    return tag("div", tag("div", label, class_="bar-label"), svg, class_="bar-row")


def scale_row(top: float, title: str) -> Raw:
    """The axis below bars drawn with `bar_row`: ticks with numbers, and the title with its unit."""
    marks = []
    for value in [v for v in ticks(0, top) if v <= top * 1.0001]:
        x = f"{BAR_WIDTH * value / top if top else 0:.2f}%"
        anchor = "start" if value == 0 else "middle"
        marks.append(tag("line", x1=x, x2=x, y1="0", y2="5", class_="axis"))
        marks.append(tag("text", number(value), x=x, y="18", text_anchor=anchor, class_="tick"))
    line = tag("line", x1="0", x2=f"{BAR_WIDTH}%", y1="0.5", y2="0.5", class_="axis")
    name = tag("text", title, x="0", y="36", class_="tick")
    svg = tag("svg", line, marks, name, width="100%", height="42", aria_hidden="true")
    return tag("div", tag("div"), svg, class_="bar-row")


def fertility(data: ReportData) -> list[Raw]:
    """One chart for each distinct fertility report of the lineage (a checkpoint may carry its tokenizer's)."""
    charts, seen = [], []
    for stage in data.stages:
        rows = [row for row in stage.fertility.get("rows", ()) if row.get("tokens_per_word_after") is not None]
        if rows and stage.fertility not in seen:
            seen.append(stage.fertility)
            charts.append(_fertility_chart(data, stage, rows))
    return charts


def pictures(data: ReportData, *rooms: str) -> list[Raw]:
    """What stages of these rooms drew, each one once. An SVG inside an image can neither run nor load anything."""
    found = []
    seen: set[str] = set()
    for stage in (stage for stage in data.stages if stage.room in rooms):
        for name, svg in stage.pictures.items():
            if svg not in seen:
                seen.add(svg)
                title = f"{stage.name}: {name.removesuffix('.svg').replace('_', ' ')}"
                source = f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
                found.append(figure(title, tag("img", src=source, alt=title, class_="picture"), class_="wide"))
    return found


def _fertility_chart(data: ReportData, stage: StageView, rows: list[Mapping[str, Any]]) -> Raw:
    place = {code: index for index, code in enumerate(data.languages)}
    rows = sorted(rows, key=lambda row: (place.get(row["language"], len(place)), row["language"]))
    units = {row.get("unit") or "word" for row in rows}
    top = max(max(row["tokens_per_word_after"], row.get("tokens_per_word_before") or 0) for row in rows)
    body = [
        tag(
            "ul",
            tag("li", tag("span", class_="swatch before"), "before"),
            tag("li", tag("span", class_="swatch after"), "after"),
            class_="legend",
        )
    ]
    table = []
    for row in rows:
        before, after = row.get("tokens_per_word_before"), row["tokens_per_word_after"]
        unit = row.get("unit") or "word"
        bars = [] if before is None else [(before, "before", number(before, 3))]
        change = f"  ({_percent(after, before)})" if before else ""
        bars.append((after, "after", number(after, 3) + change))
        label = join(data.name_of(row["language"]), tag("small", f"per {unit}") if len(units) > 1 else None)
        body.append(bar_row(label, bars, top, height=13))
        columns = [before, after, row.get("bytes_per_token_before"), row.get("bytes_per_token_after")]
        numbers = ["–" if value is None else number(float(value), 3) for value in columns]
        table.append([data.name_of(row["language"]), unit, *numbers])
    unit = units.pop() if len(units) == 1 else "unit"
    body.append(scale_row(top, f"tokens per {unit} (fewer is better)"))
    old, new = stage.fertility.get("vocab_size_before"), stage.fertility.get("vocab_size_after")
    grew = f"Vocabulary {count(old)} → {count(new)} tokens. " if old and new else ""
    head = ["Language", "Unit", "Tokens per unit before", "after", "Bytes per token before", "after"]
    return figure(
        f"Fertility of {stage.name}",
        *body,
        note=f"{grew}Tokens that one {unit} costs, before and after this step.",
        table=scroll_table(head, table, label=f"Fertility of {stage.name}"),
        class_="wide",
    )


def _percent(after: float, before: float) -> str:
    text = f"{100 * (after - before) / before:+.0f} %".replace("-", "−")
    return "no change" if text[1:] == "0 %" else text


def curves(data: ReportData) -> list[Raw]:
    """One chart for each stage that logged a loss."""
    return [chart for stage in data.stages if (chart := _curve(stage)) is not None]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _curve(stage: StageView) -> Raw | None:
    rows = [row for row in stage.train_log if _finite(row.get("step"))]
    loss = [(row["step"], row["loss"]) for row in rows if _finite(row.get("loss"))]
    if not loss:
        return None
    lr = [(row["step"], row["lr"]) for row in rows if _finite(row.get("lr"))]
    scale = ticks(min(y for _, y in loss), max(y for _, y in loss), 3)
    first, last = loss[0][0], max(loss[-1][0], loss[0][0] + 1)
    most_lr = max((y for _, y in lr), default=0.0)
    lines = [tag("line", x1=0, x2=_PLOT_W, y1=f"{y:g}", y2=f"{y:g}", class_="grid") for y in _heights(scale, scale)]
    if most_lr > 0:
        lines.append(_line(lr, first, last, 0.0, most_lr * 1.08, "lr"))
    lines.append(_line(loss, first, last, scale[0], scale[-1], "loss"))
    labels = [
        tag("span", number(value), style=f"top:{100 * y / _PLOT_H:.2f}%")
        for value, y in zip(scale, _heights(scale, scale), strict=True)
    ]
    at_end = _heights([loss[-1][1]], scale)[0]
    points = tag("span", number(loss[-1][1], 3), class_="last", style=f"top:{100 * at_end / _PLOT_H:.2f}%")
    box = f"0 0 {_PLOT_W:g} {_PLOT_H:g}"
    svg = tag("svg", lines, viewBox=box, preserveAspectRatio="none", aria_hidden="true")
    tokens = [row["tokens"] for row in rows if _finite(row.get("tokens"))]
    reach = f" · {count(tokens[-1])} tokens" if tokens else ""
    axis = [tag("span", count(first)), tag("span", f"step{reach}"), tag("span", count(last))]
    key = tag(
        "ul",
        tag("li", tag("span", class_="swatch line-loss"), "loss (nats)"),
        tag("li", tag("span", class_="swatch line-lr"), f"learning rate, at most {number(float(most_lr), 3)}")
        if most_lr > 0
        else None,
        class_="legend",
    )
    plot = tag(
        "div",
        tag("div", labels, class_="y-axis"),
        tag("div", svg, points, class_="plot"),
        tag("div", axis, class_="x-axis"),
        class_="curve",
        role="img",
        aria_label=f"Loss of {stage.name}: {number(loss[0][1], 3)} at step {first}, {number(loss[-1][1], 3)} at {last}",
    )
    others = [_sparkline(name, rows) for name in _other_metrics(rows)]
    strip = tag("div", others, class_="sparks") if any(others) else None
    return figure(stage.name, key, plot, strip, note=stage.stage, table=_log_table(stage, rows))


def _heights(values: Sequence[float], scale: Sequence[float]) -> list[float]:
    span = (scale[-1] - scale[0]) or 1.0
    return [_PLOT_H * (1 - (value - scale[0]) / span) for value in values]


def _line(points: Sequence[tuple[float, float]], x0: float, x1: float, y0: float, y1: float, class_: str) -> Raw:
    """A line from (step, value) pairs; steps x0 to x1 fill the width and values y0 to y1 the height."""
    spots = [
        f"{_PLOT_W * (x - x0) / ((x1 - x0) or 1):.1f} {_PLOT_H * (1 - (y - y0) / ((y1 - y0) or 1)):.1f}"
        for x, y in points
    ]
    return tag("path", d="M" + "L".join(spots), class_=f"line {class_}", vector_effect="non-scaling-stroke")


def _other_metrics(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names that vary over the log, other than the four that the chart shows."""
    names = dict.fromkeys(name for row in rows for name in row if name not in _AXIS)
    return [n for n in names if len({row[n] for row in rows if _finite(row.get(n))}) > 1]


def _sparkline(name: str, rows: Sequence[Mapping[str, Any]]) -> Raw:
    points = [(row["step"], row[name]) for row in rows if _finite(row.get(name))]
    low, high = min(y for _, y in points), max(y for _, y in points)
    line = _line(points, points[0][0], points[-1][0], low, high, "spark")
    svg = tag("svg", line, viewBox="0 -20 1000 440", preserveAspectRatio="none", aria_hidden="true")
    ends = f"{number(float(points[0][1]), 3)} → {number(float(points[-1][1]), 3)}"
    return tag("div", tag("span", words(name)), svg, tag("span", ends, class_="ends"), class_="spark-row")


def _log_table(stage: StageView, rows: Sequence[Mapping[str, Any]]) -> Raw:
    step = max(1, math.ceil(len(rows) / _TABLE_ROWS))
    shown = list(rows[::step])
    if shown[-1] is not rows[-1]:
        shown.append(rows[-1])
    names = [n for n in _AXIS if any(n in row for row in rows)] + _other_metrics(rows)
    body = [[count(row["step"]), *("–" if row.get(n) is None else number(row[n]) for n in names[1:])] for row in shown]
    return scroll_table([words(name) for name in names], body, label=f"Training log of {stage.name}")


def token_shards(data: ReportData) -> list[Raw]:
    """One chart for each packed corpus: tokens by stream."""
    charts = []
    for stage in data.stages:
        streams = stage.tokens.get("by_stream") or {}
        if not streams:
            continue
        place = {code: index for index, code in enumerate(data.languages)}
        order = sorted(streams, key=lambda code: (place.get(code, len(place)), code))
        total = sum(streams[code].get("tokens", 0) for code in order)
        top = max(streams[code].get("tokens", 0) for code in order)
        bars = [
            bar_row(
                data.name_of(code),
                [(streams[code].get("tokens", 0), "after", share(streams[code].get("tokens", 0), total))],
                top,
            )
            for code in order
        ]
        head = ["Stream", "Documents", "Tokens", "Trained tokens", "Bytes per token"]
        table = [[data.name_of(code), *_stream_numbers(streams[code])] for code in order]
        trained = stage.tokens.get("trained_tokens", total)
        masked = f", {count(trained)} of them trained" if trained != total else ""
        note = f"{count(total)} tokens{masked}; vocabulary of {count(stage.tokens.get('vocab_size', 0))}."
        fold = scroll_table(head, table, label=f"Tokens of {stage.name}")
        charts.append(figure(f"Tokens packed by {stage.name}", *bars, scale_row(top, "tokens"), note=note, table=fold))
    return charts


def _stream_numbers(stream: Mapping[str, int]) -> list[str]:
    tokens, size = stream.get("tokens", 0), stream.get("text_bytes", 0)
    ratio = number(size / tokens, 3) if tokens and size else "–"
    return [count(stream.get("documents", 0)), count(tokens), count(stream.get("trained_tokens", tokens)), ratio]


def fill_patterns() -> Raw:
    """The hidden definitions of the bar patterns `before` and `drop-0` … `drop-11`, shared by every chart."""
    strokes = (
        "M-1 1L1 -1M0 6L6 0M5 7L7 5",
        "M-1 5L1 7M0 0L6 6M5 -1L7 1",
        "M0 3H6",
        "M3 0V6",
        "M0 0L6 6M6 0L0 6",
        "M1 1h2v2h-2zM4 4h2v2h-2z",
        "M0 3H6M3 0V6",
        "M2 2h1v1h-1z",
    )
    strokes += strokes[:4]  # again, light on dark
    tiles = [
        tag(
            "pattern",
            tag("rect", width="6", height="6", class_=f"drop-tile-{i}"),
            tag("path", d=d, class_="drop-strokes"),
            id=f"drop-{i}",
            width="6",
            height="6",
            patternUnits="userSpaceOnUse",
        )
        for i, d in enumerate(strokes)
    ]
    before = tag(
        "pattern",
        tag("rect", width="6", height="6", class_="before-tile"),
        tag("path", d=strokes[0], class_="before-strokes"),
        id="before",
        width="6",
        height="6",
        patternUnits="userSpaceOnUse",
    )
    return tag("svg", tag("defs", before, tiles), width="0", height="0", class_="definitions", aria_hidden="true")
