"""A picture of a searched mixture: a bar for every share, a line for its interval, a tick for the share by tokens."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _ROW = 640, 160, 26


def draw(weights: Mapping[str, Mapping[str, float]]) -> str:
    """An SVG of `weights` ({key: {share, low, high, in_proportion_to_tokens}})."""
    top = max(max(row["share"], row["high"], row["in_proportion_to_tokens"]) for row in weights.values()) or 1
    scale = (_WIDTH - _LEFT - 70) / top
    height = _ROW * (len(weights) + 1) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        'font-family="sans-serif" font-size="12">',
        "<title>Shares of the mixture, with their intervals</title>",
    ]
    for number, (key, row) in enumerate(weights.items()):
        y = 8 + number * _ROW
        share, low, high, tokens = (
            _LEFT + scale * row[name] for name in ("share", "low", "high", "in_proportion_to_tokens")
        )
        lines += [
            f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(key)}</text>',
            f'<rect x="{_LEFT}" y="{y + 2}" width="{share - _LEFT:.1f}" height="14" fill="#4a7ba6"/>',
            f'<path d="M{low:.1f} {y + 9}H{high:.1f}" stroke="#222" stroke-width="2"/>',
            f'<path d="M{tokens:.1f} {y}V{y + 18}" stroke="#c0562f" stroke-width="2"/>',
            f'<text x="{max(share, high, tokens) + 6:.1f}" y="{y + 13}">{row["share"]:.1%}</text>',
        ]
    y = 8 + len(weights) * _ROW + 13
    lines.append(f'<text x="{_LEFT}" y="{y}">bar: share; line: interval; tick: share by tokens</text>')
    return "\n".join([*lines, "</svg>", ""])
