"""The tables of docs/why/effects.md and its picture, from what `benchmarks/effects_of_steps.py` found.

python benchmarks/effects_page.py [--found benchmarks/results/effects_of_steps.json]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURE = ROOT / "docs" / "why" / "effects.md", ROOT / "docs" / "images" / "effects.svg"
BEGIN, END = "<!-- written by benchmarks/effects_page.py -->", "<!-- end -->"
COLOURS = {"tasks": "#0b6e99", "chat": "#b3541e", "knowledge": "#6b7f2a"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 400, 230, 40, 52, 60
INK, QUIET = "#1c1c1c", "#8a8a8a"

Row = Mapping[str, Any]


def _signed(row: Row) -> str:
    return f"{row['mean']:+.1f} ± {row['stderr']:.1f}"


def effects_table(rows: Sequence[Row]) -> str:
    """Published effects beside ours."""
    head = "| step | measured as | Llama | Gemma | ours, points | 95 % interval | error of items, of seeds | verdict |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        of_runs = "not known" if row["of_runs"] is None else f"{row['of_runs']:.1f}"
        lines.append(
            f"| {row['said']} | {row['skill']}, {row['group']} | {row['llama']} | {row['gemma']} | {_signed(row)} "
            f"| {row['low']:+.1f} to {row['high']:+.1f} | {row['of_items']:.1f}, {of_runs} "
            f"| **{row['verdict']}** |"
        )
    return "\n".join(lines)


def gains_table(rows: Sequence[Row]) -> str:
    """Every step against its parent; a gain whose interval leaves out zero in bold."""
    columns = list(dict.fromkeys((row["group"], row["skill"]) for row in sorted(rows, key=lambda row: row["group"])))
    lines = [
        "| step | " + " | ".join(f"{group}, {skill}" for group, skill in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for model in dict.fromkeys(row["model"] for row in rows):
        cells = []
        for group, skill in columns:
            row = next(row for row in rows if (row["model"], row["group"], row["skill"]) == (model, group, skill))
            sure = row["low"] > 0 or row["high"] < 0
            cells.append(f"**{_signed(row)}**" if sure else _signed(row))
        lines.append(f"| `{model}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(levels: Sequence[Row]) -> str:
    """Scores of every step with their standard errors: one panel a group of languages, one line a skill."""
    groups = list(dict.fromkeys(row["group"] for row in levels))
    total = LEFT + len(groups) * (WIDTH + GAP)
    panels = [
        _panel(LEFT + number * (WIDTH + GAP), group, [row for row in levels if row["group"] == group])
        for number, group in enumerate(groups)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {TOP + HEIGHT + 40}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}" role="img">\n'
        "<title>Scores of every step of the lineage, with standard errors</title>\n"
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(panels) + "\n</svg>\n"
    )


def _panel(left: int, group: str, rows: Sequence[Row]) -> str:
    models = list(dict.fromkeys(row["model"] for row in rows))
    across = {model: WIDTH * (number + 0.5) / len(models) for number, model in enumerate(models)}
    parts = [f'<text y="-34" font-weight="bold">{group[:1].upper()}{group[1:]}: percent, ± standard error</text>']
    for percent in range(0, 101, 25):
        y = _height(percent)
        parts.append(f'<path d="M0 {y:g}H{WIDTH}" stroke="{QUIET}" stroke-opacity="0.3"/>')
        parts.append(f'<text x="-6" y="{y + 4:g}" text-anchor="end">{percent}</text>')
    parts += [f'<text x="{x:.1f}" y="{HEIGHT + 18}" text-anchor="middle">{name}</text>' for name, x in across.items()]
    for number, (skill, colour) in enumerate(COLOURS.items()):
        own = [row for row in rows if row["skill"] == skill]
        line = "L".join(f"{across[row['model']]:.1f} {_height(row['mean']):.1f}" for row in own)
        parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-opacity="0.6"/>')
        for row in own:
            x, low, high = across[row["model"]], *(row["mean"] + sign * row["stderr"] for sign in (-1, 1))
            parts.append(f'<path d="M{x:.1f} {_height(low):.1f}V{_height(high):.1f}" stroke="{colour}"/>')
            parts.append(f'<circle cx="{x:.1f}" cy="{_height(row["mean"]):.1f}" r="3" fill="{colour}"/>')
        parts.append(f'<text x="{number * 90}" y="-14" fill="{colour}" font-weight="bold">{skill}</text>')
    return f'<g transform="translate({left} {TOP})">\n' + "\n".join(parts) + "\n</g>"


def _height(percent: float) -> float:
    return HEIGHT * (1 - percent / 100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--found", type=Path, default=ROOT / "benchmarks" / "results" / "effects_of_steps.json")
    found = json.loads(parser.parse_args().found.read_text(encoding="utf-8"))
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    tables = f"{effects_table(found['effects'])}\n\nEvery step against its parent:\n\n{gains_table(found['gains'])}"
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")
    PICTURE.write_text(draw(found["levels"]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
