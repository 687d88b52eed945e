"""The two curves of near-duplicate detection as one SVG: found by similarity (theory), found by edits (measured)."""

from __future__ import annotations

from sampan.corpus.dedup import Params
from sampan.corpus.minhash import bands, found

WIDTH, HEIGHT, LEFT, TOP, GAP = 330, 220, 44, 34, 70
INK, QUIET, LINES = "#1c1c1c", "#8a8a8a", "#0b6e99"


def draw(recalls: dict[str, dict[str, float]]) -> str:
    """`recalls` is {language: {share of edits: recall}}."""
    params = Params()
    number, rows = bands(params.num_perm, params.threshold)
    theory = [(s / 100, found(s / 100, number, rows) if s / 100 >= params.threshold else 0.0) for s in range(101)]
    compared = [(s / 100, found(s / 100, number, rows)) for s in range(101)]
    shares = sorted({float(share) for row in recalls.values() for share in row})
    places = {share: (n + 0.5) / len(shares) for n, share in enumerate(shares)}
    measured = [
        _line([(places[float(share)], value) for share, value in row.items()], LINES, 0.45) for row in recalls.values()
    ]
    left = [
        _line(compared, QUIET, 1, dashed=True),
        _line(theory, LINES, 1),
        *(_tick(s / 10, f"{s / 10:g}") for s in range(0, 11, 2)),
        _title("Dropped, by Jaccard similarity", f"dashed: compared ({number} bands of {rows} values)"),
    ]
    right = [
        *measured,
        *(_tick(places[share], f"{share:.0%}") for share in shares),
        _title("Dropped, by share of units edited", f"measured, {len(recalls)} languages"),
    ]
    total = 2 * (LEFT + WIDTH) + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {TOP + HEIGHT + 34}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">\n'
        '<rect width="100%" height="100%" fill="white"/>\n'
        f"{_panel(LEFT, left)}\n{_panel(2 * LEFT + WIDTH + GAP, right)}\n</svg>\n"
    )


def _panel(left: int, parts: list[str]) -> str:
    frame = f'<path d="M0 0V{HEIGHT}H{WIDTH}" fill="none" stroke="{QUIET}"/>'
    scale = [
        f'<text x="-8" y="{HEIGHT * (1 - v) + 4:g}" text-anchor="end">{v:.0%}</text>'
        f'<path d="M0 {HEIGHT * (1 - v):g}H{WIDTH}" stroke="{QUIET}" stroke-opacity="0.25"/>'
        for v in (0, 0.5, 0.95)
    ]
    return f'<g transform="translate({left} {TOP})">\n' + "\n".join([frame, *scale, *parts]) + "\n</g>"


def _line(points: list[tuple[float, float]], colour: str, opacity: float, *, dashed: bool = False) -> str:
    path = "L".join(f"{x * WIDTH:.1f} {HEIGHT * (1 - y):.1f}" for x, y in points)
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-opacity="{opacity}" stroke-width="2"{dash}/>'


def _tick(place: float, label: str) -> str:
    return f'<text x="{place * WIDTH:.1f}" y="{HEIGHT + 18}" text-anchor="middle">{label}</text>'


def _title(title: str, note: str) -> str:
    return f'<text y="-18" font-weight="bold">{title}</text><text y="-4" fill="{QUIET}">{note}</text>'
