"""A radar: one spoke for each category or language, one outline for each model; light, and dark where asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_RADIUS, _SIDE = 150.0, 110.0
_COLOURS = 8
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_STYLE = (
    "<style>svg{background:#fff;font:12px system-ui,sans-serif;color:#1c1c1c}text{fill:currentColor}"
    ".grid{stroke:#8a8a8a;stroke-opacity:.4;fill:none}.quiet{fill:#5f5f5f;font-size:10px}"
    ".shape{stroke:var(--c);fill:var(--c);fill-opacity:.07;stroke-width:1.8}.dot{fill:var(--c)}"
    ".c0{--c:#0b6e99}.c1{--c:#b3530a}.c2{--c:#2f7d32}.c3{--c:#8e3a8e}"
    ".c4{--c:#a8243b}.c5{--c:#5a5a00}.c6{--c:#00707a}.c7{--c:#444}"
    "@media(prefers-color-scheme:dark){svg{background:#16191d;color:#e8e8e8}.quiet{fill:#a8a8a8}"
    ".c0{--c:#5cc1ec}.c1{--c:#f0a35e}.c2{--c:#7ccf80}.c3{--c:#dd9bdd}"
    ".c4{--c:#ff8a9c}.c5{--c:#d6d65a}.c6{--c:#5fd6df}.c7{--c:#bbb}}</style>"
)


def draw(
    title: str, spokes: Sequence[str], models: Mapping[str, Sequence[float | None]], scale: tuple[float, float]
) -> str:
    """An SVG. `models` gives each model's value for each spoke; where there is none, its outline is open."""
    low, high = scale
    width = 2 * (_RADIUS + _SIDE)
    tall = 2 * _RADIUS + 96 + 18 * len(models)
    centre = (width / 2, _RADIUS + 66)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {tall:.0f}" width="{width:.0f}" '
        f'height="{tall:.0f}" style="max-width:100%;height:auto" role="img">',
        f"<title>{escape(title)}</title>{_STYLE}",
        f'<text x="12" y="20" font-weight="bold">{escape(title)}</text>',
    ]
    for part in (0.25, 0.5, 0.75, 1.0):
        ring = [_spot(centre, number, len(spokes), part) for number in range(len(spokes))]
        out.append(f'<path d="{_path(ring)}Z" class="grid"/>')
        x, y = _spot(centre, 0, len(spokes), part)
        out.append(f'<text x="{x + 3:.1f}" y="{y - 2:.1f}" class="quiet">{low + part * (high - low):g}</text>')
    for number, name in enumerate(spokes):
        out += _spoke(centre, number, len(spokes), name)
    for index, (model, values) in enumerate(models.items()):
        out += _outline(centre, index, model, spokes, [_share(value, low, high) for value in values], values)
        y = 2 * _RADIUS + 110 + 18 * index
        out.append(f'<circle cx="20" cy="{y - 4:.0f}" r="5" class="dot c{index % _COLOURS}"/>')
        dash = _dash(index)
        out.append(f'<path d="M28 {y - 4:.0f}h24" class="shape c{index % _COLOURS}"{dash}/>')
        out.append(f'<text x="58" y="{y:.0f}">{escape(model)}</text>')
    return "\n".join([*out, "</svg>", ""])


def _spot(centre: tuple[float, float], number: int, count: int, part: float) -> tuple[float, float]:
    angle = 2 * math.pi * number / count - math.pi / 2
    return centre[0] + part * _RADIUS * math.cos(angle), centre[1] + part * _RADIUS * math.sin(angle)


def _spoke(centre: tuple[float, float], number: int, count: int, name: str) -> list[str]:
    x, y = _spot(centre, number, count, 1.0)
    tx, ty = _spot(centre, number, count, 1.15)
    anchor = "middle" if abs(tx - centre[0]) < 12 else "start" if tx > centre[0] else "end"
    return [
        f'<path d="M{centre[0]:.1f} {centre[1]:.1f}L{x:.1f} {y:.1f}" class="grid"/>',
        f'<text x="{tx:.1f}" y="{ty + 4:.1f}" text-anchor="{anchor}">{escape(name)}</text>',
    ]


def _outline(
    centre: tuple[float, float],
    index: int,
    model: str,
    spokes: Sequence[str],
    shares: Sequence[float | None],
    values: Sequence[float | None],
) -> list[str]:
    """The model's lines between neighbouring values, and a dot with its number at each."""
    count, colour = len(spokes), f"c{index % _COLOURS}"
    spots = [None if part is None else _spot(centre, n, count, part) for n, part in enumerate(shares)]
    if all(spots):
        lines = [f"{_path(spots)}Z"]
    else:
        lines = [_path([a, b]) for a, b in zip(spots, [*spots[1:], spots[0]], strict=True) if a and b]
    out = [f'<path d="{line}" class="shape {colour}"{_dash(index)}/>' for line in lines]
    for name, spot, value in zip(spokes, spots, values, strict=True):
        if spot:
            said = f"<title>{escape(f'{model}, {name}: {value:.2f}')}</title>"
            out.append(f'<circle cx="{spot[0]:.1f}" cy="{spot[1]:.1f}" r="3.2" class="dot {colour}">{said}</circle>')
    return out


def _share(value: float | None, low: float, high: float) -> float | None:
    return None if value is None else min(max((value - low) / (high - low), 0.0), 1.0)


def _dash(index: int) -> str:
    dash = _DASHES[index // _COLOURS % len(_DASHES)] or _DASHES[index % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _path(spots: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
