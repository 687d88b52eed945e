"""The worked tables of docs/reference/merges.md: what SEA-LION v3's merges make of single elements, computed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sampan.merge.method import Settings
from sampan.merge.methods import METHODS
from sampan.merge.stream import merge_arrays

TWO = [(1, 1), (1, 2), (1, -2), (3, -1), (1, -1), (2, 0)]
THREE = [(1, 1, 1), (2, 1, 1), (3, 1, 1), (1, 1, -1), (3, -1, -1), (2, 0, 0), (1, -1, 0)]
FOUR = [(1, 1, 1, 1), (1, 1, 1, -1), (1, 1, 1, 0), (2, -1, 0, 0)]
INTRO = """# What merges drop

The merges of SEA-LION v3 (arXiv:2504.05747, sections 3.2.1 and 3.2.2) on single elements, weight and density 1. τ is
how far each model has moved the element from the merge's base; the other columns are how far the merge moves it. **0**
in bold: models moved it and the merge does not. The reasons are in [merging.md](../why/merging.md).
"""


def table(title: str, elements: Sequence[tuple[float, ...]], columns: dict[str, tuple[str, dict]]) -> str:
    """A Markdown table: one row per element, one column per method and `normalize`."""
    deltas = [np.array(values, np.float32) for values in zip(*elements, strict=True)]
    results = {}
    for head, (method, knobs) in columns.items():
        for normalize, way in ((False, "sum"), (True, "mean")):
            ones = (1.0,) * len(deltas)
            settings = Settings(weights=ones, density=ones, normalize=normalize, **knobs)
            base = np.zeros(len(elements), np.float32)
            results[f"{head}, {way}"] = merge_arrays(METHODS.load(method), base, deltas, settings)
    lines = [f"## {title}\n", f"| τ | {' | '.join(results)} |", "|---" * (1 + len(results)) + "|"]
    for i, values in enumerate(elements):
        cells = [cell(result[i], any(values)) for result in results.values()]
        lines.append(f"| {', '.join(f'{value:g}' for value in values)} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def cell(value: float, moved: bool) -> str:
    return "**0**" if value == 0 and moved else f"{value + 0:.3g}"


def merges_page() -> str:
    """docs/reference/merges.md."""
    return "\n".join(
        [
            INTRO,
            table(
                "Two models: L4, L7, G4",
                TWO,
                {"DARE-TIES (L4)": ("dare_ties", {}), "DELLA-Linear (L7, G4)": ("della_linear", {})},
            ),
            table(
                "Three models: L5",
                THREE,
                {"Consensus TA, k 1": ("consensus_ta", {"k": 1}), "k 2": ("consensus_ta", {"k": 2})},
            ),
            table("Four models: G6, its method assumed", FOUR, {"DELLA-Linear": ("della_linear", {})}),
        ]
    )
