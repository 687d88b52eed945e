"""What each step of the village is for: `village-ablations` built for one seed or several, and what variants changed.

    python benchmarks/ablations.py --store build/ablations --out benchmarks/results/ablations.json
    python benchmarks/ablations.py --store build/ablations --seeds 0 1 2 --out benchmarks/results/ablations.json

A seed is given to every stage that draws by chance, from continued pre-training to the last merge; the base, its
vocabulary and all data stay. What is compared is what the report's section Variants shows: the variant's score minus
the recipe's, for bits per byte and for the mean of its skills, over the region and over English. Intervals are those of
the items, for one seed; over seeds the mean and the sample deviation are told. Prints the table of the docs as well.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from result import conclude

from sampan.recipe.load import bundled, load_recipe
from sampan.recipe.plan import Plan, make_plan
from sampan.recipe.report.markup import number
from sampan.recipe.report.variants import BITS, SKILLS, effects
from sampan.recipe.reporting import report_data
from sampan.recipe.resolve import resolve
from sampan.store.store import Store

RECIPE = "village-ablations"
YARDSTICK = "another_seed"
DRAWN = (
    "cpt",
    "hybrid",
    "sft_english",
    "sft",
    "merged_stages",
    "merged_lines",
    "judged",
    "self_preferred",
    "aligned",
    "final",
)
COLUMNS = ((BITS, "Region"), (BITS, "English"), (SKILLS, "Region"), (SKILLS, "English"))


def settings(seed: int) -> list[str]:
    """A seed for every stage that draws; none for the recipe's own."""
    return [f"{stage}.seed={seed}" for stage in DRAWN] if seed else []


def build(store: Path, seed: int) -> None:
    """Build the recipe and its variants with a seed; what is there already is kept."""
    words = ["run", RECIPE, "--store", str(store), "--workers", "1"]
    words += [word for setting in settings(seed) for word in ("--set", setting)]
    done = subprocess.run([sys.executable, "-m", "sampan.cli.main", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def open_built(store: Path, seed: int) -> tuple[Plan, Store]:
    recipe, opened = load_recipe(bundled()[RECIPE], settings(seed)), Store(store)
    return make_plan(recipe, resolve(recipe), opened), opened


def spent(plan: Plan) -> dict[str, float]:
    """Processor seconds of the recipe's own stages and of each variant's, as their manifests have them."""
    seconds = {
        name: (step.manifest or {}).get("times", {}).get("cpu_seconds", 0.0) for name, step in plan.steps.items()
    }
    copies = {variant.name: set(variant.stages.values()) for variant in plan.recipe.variants.values()}
    own = seconds.keys() - set().union(*copies.values())
    return {name: round(sum(seconds[each] for each in names), 1) for name, names in {"recipe": own, **copies}.items()}


def found(plan: Plan, store: Store) -> Iterator[tuple[str, str, tuple[str, str], dict[str, float]]]:
    """(variant, place, column, what it changed) of a built recipe."""
    data = report_data(plan, store)
    for variant in data.variants:
        for place, gaps in effects(data, variant).items():
            for column, gap in gaps.items():
                figures = {name: getattr(gap, name) for name in ("before", "after", "delta", "stderr", "low", "high")}
                yield variant.name, place, column, {name: round(value, 5) for name, value in figures.items()}


def gathered(built: Mapping[int, tuple[Plan, Store]]) -> list[dict[str, Any]]:
    """A row for each variant, place and column, with what each seed gave."""
    rows: dict[tuple, dict[str, Any]] = {}
    for seed, (plan, store) in built.items():
        for variant, place, (measure, group), figures in found(plan, store):
            fixed = {"variant": variant, "place": place, "measure": measure, "group": group}
            rows.setdefault(tuple(fixed.values()), {**fixed, "seeds": {}})["seeds"][str(seed)] = figures
    for row in rows.values():
        deltas = [each["delta"] for each in row["seeds"].values()]
        if len(deltas) > 1:
            row |= {"mean": round(statistics.mean(deltas), 5), "deviation": round(statistics.stdev(deltas), 5)}
    return list(rows.values())


def table(rows: list[dict[str, Any]]) -> str:
    """The table of docs/how-to/variants.md, of the first seed: differences with 95 % intervals, skills in points."""
    cells = {(row["variant"], row["place"], row["measure"], row["group"]): row for row in rows}
    lines = [
        "| variant | judged at | " + " | ".join(f"{measure.lower()}, {group}" for measure, group in COLUMNS) + " |"
    ]
    lines.append("|---|---|" + "---|" * len(COLUMNS))
    for variant, place in dict.fromkeys((row["variant"], row["place"]) for row in rows):
        shown = [_cell(cells.get((variant, place, *column)), column[0]) for column in COLUMNS]
        lines.append(f"| `{variant}` | `{place}` | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _cell(row: Mapping[str, Any] | None, measure: str) -> str:
    if row is None:
        return ""
    scale, digits = (100, 2) if measure == SKILLS else (1, 3)

    def shown(value: float) -> str:
        return ("+" if value > 0 else "") + number(scale * value, digits)

    first = next(iter(row["seeds"].values()))
    told = first["low"] > 0 or first["high"] < 0
    text = f"**{shown(first['delta'])}**" if told else shown(first["delta"])
    text += f" ({shown(first['low'])} to {shown(first['high'])})"
    if "mean" in row:
        text += f"; {shown(row['mean'])} ± {number(scale * row['deviation'], digits)}"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for seed in options.seeds:
        build(options.store, seed)
    built = {seed: open_built(options.store, seed) for seed in options.seeds}
    rows = gathered(built)
    print(table(rows))
    names = {row["variant"] for row in rows} - {YARDSTICK}
    result = {
        "claim": "six ablations of the village beside the recipe: what each step is for",
        "ours": len(names),
        "peer": 6,
        "ratio": len(names) / 6,
        "bar": 1.0,
        "ok": len(names) == 6,
        "seeds": options.seeds,
        "cpu_seconds": {str(seed): spent(plan) for seed, (plan, _) in built.items()},
    }
    return conclude(result, options.out, packages=("torch", "transformers"), details={"effects": rows})


if __name__ == "__main__":
    sys.exit(main())
