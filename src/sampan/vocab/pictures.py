"""Pictures as SVG text, without a library: light on white and, where the reader asks for it, light on dark.

Every series has a shape of its own beside its colour, so that nothing is told by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

Point = tuple[float, float]
_STYLE = """<style>
svg{background:#fff;font:12px system-ui,sans-serif;color:#1c1c1c}text{fill:currentColor}
.quiet{fill:#5f5f5f}.grid{stroke:#8a8a8a;stroke-opacity:.3}.axis{stroke:#8a8a8a}
.c0{--c:#0b6e99}.c1{--c:#b3530a}.c2{--c:#2f7d32}.c3{--c:#8e3a8e}.c4{--c:#a8243b}.c5{--c:#5a5a00}.c6{--c:#00707a}.c7{--c:#444}
.mark{fill:var(--c)}.line{stroke:var(--c);fill:none;stroke-width:1.8}.name{fill:var(--c)}
@media(prefers-color-scheme:dark){svg{background:#16191d;color:#e8e8e8}.quiet{fill:#a8a8a8}
.c0{--c:#5cc1ec}.c1{--c:#f0a35e}.c2{--c:#7ccf80}.c3{--c:#dd9bdd}.c4{--c:#ff8a9c}.c5{--c:#d6d65a}.c6{--c:#5fd6df}.c7{--c:#bbb}}
</style>"""
_COLOURS = 8
_DASHES = ("", "6 3", "2 3", "8 3 2 3")


def mark(index: int, x: float, y: float, said: str = "") -> str:
    """The shape of series `index` at a point: circle, square, diamond, triangles, cross, star, plus."""
    shape = index % 8
    place = f'transform="translate({x:.1f} {y:.1f})" class="mark c{index % _COLOURS}"'
    paths = (
        "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0",
        "M-4 -4h8v8h-8z",
        "M0 -5.5L5.5 0L0 5.5L-5.5 0z",
        "M0 -5L5 4H-5z",
        "M0 5L5 -4H-5z",
        "M-5 -3L-3 -5L0 -2L3 -5L5 -3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0z",
        "M0 -6L1.5 -1.5L6 0L1.5 1.5L0 6L-1.5 1.5L-6 0L-1.5 -1.5z",
        "M-1.5 -5.5h3v4h4v3h-4v4h-3v-4h-4v-3h4z",
    )
    title = f"<title>{escape(said)}</title>" if said else ""
    return f'<path d="{paths[shape]}" {place}>{title}</path>'


def dot_rows(title: str, series: Sequence[str], values: Mapping[str, Sequence[float | None]]) -> str:
    """One row per key of `values` and one mark per series, on a logarithmic scale; the lowest value is written out."""
    left, width, step = 92, 560, 24
    legend, rows_of_legend = _legend(series, left, width)
    top = 46 + 18 * rows_of_legend
    known = [value for row in values.values() for value in row if value]
    low, high = _log_range(known)
    place = lambda value: left + width * math.log(value / low) / math.log(high / low)  # noqa: E731
    bottom = top + step * len(values)
    body = [_text(12, 22, title, weight="bold"), *legend]
    for tick in _log_ticks(low, high):
        x = place(tick)
        body.append(f'<path d="M{x:.1f} {top - 6}V{bottom}" class="grid"/>')
        body.append(_text(x, bottom + 16, f"{tick:g}", anchor="middle", class_="quiet"))
    for number, (name, row) in enumerate(values.items()):
        y = top + step * (number + 0.5)
        body.append(_text(left - 12, y + 4, name, anchor="end"))
        found = [value for value in row if value]
        if found:
            body.append(f'<path d="M{place(min(found)):.1f} {y}H{place(max(found)):.1f}" class="axis"/>')
        for index, value in enumerate(row):
            if value:
                body.append(mark(index, place(value), y, f"{series[index]}, {name}: {value:.2f}"))
        if found:
            x = place(max(found))
            body.append(_text(x + 10, y + 4, f"{min(found):.2f} – {max(found):.2f}", class_="quiet"))
    return document(left + width + 90, bottom + 28, title, body)


def line_panels(title: str, panels: Sequence[Mapping]) -> str:
    """Panels side by side. A panel: `title`, `x` and `y` (axis titles), `lines` {name: points}, `marks` {name: x}.

    Lines are named at their ends; `marks` are vertical lines with a name.
    """
    wide, tall, gap = 330, 260, 190
    body = [_text(12, 22, title, weight="bold")]
    for number, panel in enumerate(panels):
        body += [f'<g transform="translate({56 + number * (wide + gap)} 66)">', *_panel(panel, wide, tall), "</g>"]
    return document(len(panels) * (wide + gap) + 40, tall + 116, title, body)


def _panel(panel: Mapping, wide: int, tall: int) -> list[str]:
    lines: Mapping[str, Sequence[Point]] = panel["lines"]
    most_x = max((x for points in lines.values() for x, _ in points), default=1) or 1
    scale_y = _ticks(0, max((y for points in lines.values() for _, y in points), default=1))
    most_y = scale_y[-1]
    out = [_text(0, -14, panel["title"]), f'<path d="M0 0V{tall}H{wide}" class="axis" fill="none"/>']
    for tick in scale_y:
        y = tall * (1 - tick / most_y)
        out.append(f'<path d="M0 {y:.1f}H{wide}" class="grid"/>')
        out.append(_text(-8, y + 4, f"{tick:g}", anchor="end", class_="quiet"))
    for tick in [tick for tick in _ticks(0, most_x) if tick <= most_x]:
        out.append(_text(wide * tick / most_x, tall + 16, f"{tick:,.0f}", anchor="middle", class_="quiet"))
    out.append(_text(0, tall + 36, f"{panel['x']}; up: {panel['y']}", class_="quiet"))
    for row, (name, x) in enumerate(panel.get("marks", {}).items()):
        at = wide * x / most_x
        out.append(f'<path d="M{at:.1f} 0V{tall}" class="axis" stroke-dasharray="3 3"/>')
        side = {"x": at - 4, "anchor": "end"} if at > wide / 2 else {"x": at + 4}
        out.append(_text(y=12 + 14 * row, text=name, class_="quiet", **side))
    ends = _apart([tall * (1 - points[-1][1] / most_y) for points in lines.values()], 14)
    for index, (name, points) in enumerate(lines.items()):
        path = "L".join(f"{wide * x / most_x:.1f} {tall * (1 - y / most_y):.1f}" for x, y in points)
        dash = _DASHES[index // _COLOURS % len(_DASHES)]
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        out.append(f'<path d="M{path}" class="line c{index % _COLOURS}"{dashed}/>')
        x, y = wide * points[-1][0] / most_x, tall * (1 - points[-1][1] / most_y)
        out.append(mark(index, x, y))
        if abs(ends[index] - y) > 3 or x < wide - 1:
            out.append(f'<path d="M{x:.1f} {y:.1f}L{wide + 8} {ends[index]:.1f}" class="grid"/>')
        said = f"{name} {points[-1][1]:.2f}"
        out.append(_text(wide + 12, ends[index] + 4, said, class_=f"name c{index % _COLOURS}"))
    return out


def document(width: float, height: float, title: str, body: Sequence[str]) -> str:
    """The whole SVG file."""
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="max-width:100%;height:auto" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", _STYLE, *body, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, *, anchor: str = "", class_: str = "", weight: str = "") -> str:
    given = {"text-anchor": anchor, "class": class_, "font-weight": weight}
    more = "".join(f' {name}="{value}"' for name, value in given.items() if value)
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(text)}</text>'


def _legend(series: Sequence[str], left: float, width: float) -> tuple[list[str], int]:
    """Marks and names from left to right, and the number of lines that they take."""
    out, x, row = [], left, 0
    for index, name in enumerate(series):
        need = 26 + 7.2 * len(name)
        if x > left and x + need > left + width + 80:
            x, row = left, row + 1
        out += [mark(index, x, 42 + 18 * row), _text(x + 10, 46 + 18 * row, name)]
        x += need
    return out, row + 1


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """Places moved down as little as keeps them `gap` apart, then up again if they left the picture's order."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    out, last = list(places), -math.inf
    for index in order:
        out[index] = last = max(places[index], last + gap)
    return out


def _ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from `low` to at or above `high`."""
    if not high > low:
        high = low + 1
    rough = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * times for times in (1, 2, 2.5, 5, 10) if unit * times >= rough * 0.999)
    return [round(low + number * step, 10) for number in range(math.ceil((high - low) / step - 1e-9) + 1)]


def _log_range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=1.0), max(values, default=2.0)
    return low / 1.08, max(high, low * 1.5) * 1.08


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten (and 1.5, 3 on a short scale) between two values."""
    times = (1, 1.5, 2, 3, 5) if high / low < 12 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step for power in powers for t in times if low <= (step := round(t * 10.0**power, 10)) <= high]
