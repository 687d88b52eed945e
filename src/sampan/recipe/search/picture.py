"""A picture of a search: for every method the losses over each setting, and for two weights their surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from .proposals import flat_settings

_SIDE, _GAP, _TOP = 150, 46, 34
_GOOD, _BAD = (31, 92, 140), (222, 214, 200)


def draw(trials: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> str:
    """An SVG: one row of panels per method, dark dots for low losses, a ring around the best trial."""
    shown = [trial for trial in trials if abs(trial["loss"]) < float("inf")]
    losses = sorted(trial["loss"] for trial in shown)
    low, high = losses[0], losses[int(0.9 * (len(losses) - 1))]  # a few wild trials must not flatten the rest
    methods = list(dict.fromkeys(trial["point"]["method"] for trial in shown))
    rows = [_row(method, shown, best, (low, high if high > low else low + 1)) for method in methods]
    width = max(len(panels) for panels in rows) * (_SIDE + _GAP) + _GAP
    height = len(rows) * (_SIDE + _TOP + _GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="sans-serif" font-size="11">',
        f"<title>{len(trials)} merges and their losses; ringed: the best, {best['loss']:.4f}</title>",
    ]
    for number, (method, panels) in enumerate(zip(methods, rows, strict=True)):
        top = number * (_SIDE + _TOP + _GAP)
        lines.append(f'<text x="{_GAP}" y="{top + 16}" font-weight="bold">{escape(method)}</text>')
        for place, panel in enumerate(panels):
            lines.append(f'<g transform="translate({_GAP + place * (_SIDE + _GAP)} {top + _TOP})">{panel}</g>')
    return "\n".join([*lines, "</svg>", ""])


def _row(
    method: str, trials: Sequence[Mapping[str, Any]], best: Mapping[str, Any], scale: tuple[float, float]
) -> list[str]:
    """The panels of one method."""
    own = [trial for trial in trials if trial["point"]["method"] == method]
    settings = [flat_settings(trial["point"]) for trial in own]
    free = [name for name in settings[0] if len({values.get(name) for values in settings}) > 1] or list(settings[0])[:1]
    tones = [min(max((trial["loss"] - scale[0]) / (scale[1] - scale[0]), 0), 1) for trial in own]
    marked = [trial is best or trial == best for trial in own]
    panels = [_panel(name, "loss", [v[name] for v in settings], tones, tones, marked, scale) for name in free]
    weights = [name for name in free if name.startswith("weights.")]
    if len(weights) == 2:
        xs, ys = ([values[name] for values in settings] for name in weights)
        limits = (min(ys), max(ys))
        spread = (limits[1] - limits[0]) or 1
        heights = [1 - (y - limits[0]) / spread for y in ys]  # larger values higher up
        panels.append(_panel(weights[0], weights[1], xs, heights, tones, marked, (limits[1], limits[0])))
    return panels


def _panel(
    x_name: str,
    y_name: str,
    xs: Sequence[float],
    heights: Sequence[float],
    tones: Sequence[float],
    marked: Sequence[bool],
    y_ends: tuple[float, float],
) -> str:
    """Dots at `xs` and `heights` (0 = the top edge, where `y_ends[0]` stands)."""
    low, high = min(xs), max(xs)
    parts = [
        f'<rect width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#999"/>',
        f'<text x="{_SIDE / 2}" y="{_SIDE + 26}" text-anchor="middle">{escape(x_name)}</text>',
        f'<text x="0" y="{_SIDE + 13}">{low:g}</text>'
        f'<text x="{_SIDE}" y="{_SIDE + 13}" text-anchor="end">{high:g}</text>',
        f'<text x="-3" y="9" text-anchor="end">{y_ends[0]:.3g}</text>'
        f'<text x="-3" y="{_SIDE}" text-anchor="end">{y_ends[1]:.3g}</text>',
        f'<text transform="translate(-6 {_SIDE / 2}) rotate(-90)" text-anchor="middle">{escape(y_name)}</text>',
    ]
    order = sorted(range(len(xs)), key=lambda i: -tones[i])  # the good ones on top
    for i in order:
        x, y = _SIDE * (xs[i] - low) / ((high - low) or 1), _SIDE * heights[i]
        colour = ",".join(str(round(a + (b - a) * tones[i])) for a, b in zip(_GOOD, _BAD, strict=True))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="rgb({colour})"/>')
        if marked[i]:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="none" stroke="#c0562f" stroke-width="2"/>')
    return "".join(parts)
