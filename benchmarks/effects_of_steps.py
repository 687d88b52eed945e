"""What each step of SEA-LION v3 gains and costs at small scale, with errors of items and of seeds.

    python benchmarks/effects_of_steps.py --out benchmarks/results/effects_of_steps.json
    python benchmarks/effects_page.py

Builds recipes/sea-lion-v3-effects.yaml once for each seed: as it stands, and with another seed in every stage that has
one, so that weights, order of data, sentences, questions and the facts of the world themselves are drawn again.
(The merges have density 1, as published, and draw nothing.) What is in the store is not built again, so a run that was
cut short goes on. Each step's model is compared with its parent's on the same items; what is published of a step is
then said to appear, not to appear (the contrary does), or not to be told (the interval holds zero).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from result import conclude

from sampan.artifacts.item_values import read_item_values
from sampan.evals.statistics import Difference, Part, paired_mean, repeated
from sampan.recipe.load import Recipe, bundled, load_recipe
from sampan.recipe.stages import STAGES
from sampan.store.store import Store

RECIPE = "sea-lion-v3-effects"
SEEDS = (0, 1, 2)
APART = 1000
"""How far the seeds of one run are from those of the next; a recipe's own are below."""
PARENTS = {
    "cpt": "start", "stage_1": "cpt", "stage_2": "stage_1", "merge_1": "stage_2", "merge_2": "merge_1",
    "aligned": "merge_2", "final": "aligned",
}  # fmt: skip
MODELS = ("start", *PARENTS)
GROUPS = {"English": ["eng_Latn"], "region": ["ind_Latn", "vie_Latn", "tha_Thai", "tam_Taml"]}
"""The region's are those of table 1 of the paper; each counts alike."""
TASKS = (
    ("village_region_facts_chat", "acc"),
    ("village_shared_facts_chat", "acc"),
    ("village_format", "exact_match"),
)
SKILLS: Mapping[str, Sequence[tuple[str, str]]] = {
    "tasks": TASKS,
    "form": TASKS[2:],
    "chat": (("village_chat", "exact_match"), ("village_preference", "preference_acc")),
    "knowledge": (("village_region_facts", "acc"), ("village_shared_facts", "acc")),
}
"""What is measured as what: tests with their metrics, each counting alike. No region fact is asked in English."""


@dataclass(frozen=True)
class Claim:
    """What is published of a step, and the direction in which it goes."""

    child: str
    skill: str
    group: str
    sign: int
    said: str
    llama: str
    gemma: str


CLAIMS = (
    Claim("stage_1", "form", "English", 1, "stage 1: English instructions up", "IFEval +3.86", "IFEval +9.72"),
    Claim("stage_1", "tasks", "region", 1, "stage 1: the region up", "average +7.9", "average +7.47"),
    Claim("stage_2", "tasks", "region", 1, "stage 2: the region up", "average +8.73", "average +10.1"),
    Claim(
        "merge_1", "tasks", "English", 1, "merge 1: recovers what stage 2 forgot", "aim, no figure", "aim, no figure"
    ),
    Claim("merge_1", "tasks", "region", 1, "merge 1: the region up", "average -0.13, columns up", "average +2.6"),
    Claim("merge_2", "chat", "region", 1, "merge 2: chat up", "MT ID -0.66, VI +5.31, TH +8.58", "no such step"),
    Claim("merge_2", "tasks", "region", -1, "merge 2: tasks down", "average -1.35, Tamil -11.23", "no such step"),
    Claim("aligned", "chat", "region", 1, "SimPO: chat up", "MT +11.82, +5.36, +6.06", "MT +2.44, +9.20, +8.51"),
    Claim("aligned", "tasks", "region", -1, "SimPO: tasks down", "average -6.71", "average +0.11"),
    Claim("final", "tasks", "region", 1, "last merge: tasks recover", "average +10.54", "average -0.02"),
)
"""arXiv:2504.05747, §3.2, §4 and table 1; MT is SEA-MTBench of Indonesian, Vietnamese and Thai. §4 names no figure for
what merge 1 is for, the skills of stage 1."""

Values = Mapping[tuple[str, str, str, str], Sequence[float | None]]
"""Items' values by model, task, language and metric."""


@dataclass(frozen=True)
class Run:
    """What one seed's models scored, item by item."""

    values: Values
    asked: Mapping[tuple[str, str], Sequence[str]]
    """Items' ids by task and language."""

    def gap(self, parent: str | None, child: str, skill: str, group: str) -> Difference:
        """Child less parent, in percent; without a parent the child's own level. Items on one fact go together, in
        whatever task and language."""
        parts: list[Part] = []
        for task, metric in SKILLS[skill]:
            for language in GROUPS[group]:
                if (task, language) not in self.asked:
                    continue
                after = [100 * value for value in self.values[child, task, language, metric]]
                before = [0.0] * len(after)
                if parent:
                    before = [100 * value for value in self.values[parent, task, language, metric]]
                facts = [name.split(f"-{language}")[0] for name in self.asked[task, language]]
                parts.append((before, after, facts, ()))
        found = paired_mean(parts)
        if found is None:
            raise ValueError(f"too few items to judge {skill} in {group}")
        return found


def across(runs: Sequence[Run], parent: str | None, child: str, skill: str, group: str) -> dict[str, Any]:
    """One figure over all seeds: mean, both errors, the interval, and each seed's own."""
    gaps = [run.gap(parent, child, skill, group) for run in runs]
    found = repeated([gap.delta for gap in gaps], [gap.stderr for gap in gaps], [gap.clusters for gap in gaps])
    rounded = {name: value and round(value, 2) for name, value in asdict(found).items()}
    return {**rounded, "by_seed": [round(gap.delta, 2) for gap in gaps], "items": sum(gap.n for gap in gaps)}


def verdict(sign: int, low: float, high: float) -> str:
    """Whether the interval of a gain is on the published side of zero, on the other, or on both."""
    if low <= 0 <= high:
        return "cannot be told"
    return "appears" if (low > 0) == (sign > 0) else "does not appear"


def judged(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Every published effect with ours and the verdict."""
    rows = []
    for claim in CLAIMS:
        ours = across(runs, PARENTS[claim.child], claim.child, claim.skill, claim.group)
        rows.append({**asdict(claim), **ours, "verdict": verdict(claim.sign, ours["low"], ours["high"])})
    return rows


def everything(runs: Sequence[Run]) -> dict[str, list[dict[str, Any]]]:
    """Every step's gain and every model's level, in all skills and both groups."""
    found: dict[str, list[dict[str, Any]]] = {"gains": [], "levels": []}
    for model in MODELS:
        for skill in SKILLS:
            for group in GROUPS:
                about = {"model": model, "skill": skill, "group": group}
                found["levels"].append({**about, **across(runs, None, model, skill, group)})
                if model in PARENTS:
                    found["gains"].append({**about, **across(runs, PARENTS[model], model, skill, group)})
    return found


def reseeded(recipe: Recipe, number: int) -> str:
    """A recipe that differs from `recipe` by its seeds alone: each stage's own, and one world for all of them."""
    over = {}
    for name, stage in recipe.stages.items():
        known = {field.name: field.default for field in dataclasses.fields(STAGES.load(stage.kind).params)}
        drawn = {"seed": int(stage.params.get("seed", known["seed"])) + APART * number} if "seed" in known else {}
        drawn |= {"world_seed": number} if "world_seed" in known else {}
        if drawn:
            over[name] = {"with": drawn}
    return json.dumps({"recipe": f"{recipe.name}-{number}", "extends": f"{recipe.name}.yaml", "stages": over})


def build(number: int, store: Path) -> str:
    """Build the recipe with these seeds; returns the name that it has in the store."""
    with tempfile.TemporaryDirectory() as folder:
        name, path = RECIPE, bundled()[RECIPE]
        if number:
            name, path = f"{RECIPE}-{number}", Path(folder) / f"{RECIPE}-{number}.yaml"
            path.write_text(reseeded(load_recipe(bundled()[RECIPE]), number), encoding="utf-8")
        command = ["run", path, "--to", "scores", "--store", store, "--workers", 1]
        done = subprocess.run([sys.executable, "-m", "sampan.cli.main", *map(str, command)])
    if done.returncode:
        sys.exit(done.returncode)
    return name


def read(store: Store, name: str) -> tuple[Run, float]:
    """The scores of one seed's models, and the processor seconds that all its stages took."""
    manifests = [store.lookup(ref["key"]) or {} for recipe, _, ref in store.refs() if recipe == name]
    asked, values = read_item_values(store.artifact(store.lookup(store.ref(name, "scores")["key"])))
    run = Run(
        {(row.model, row.task, row.language, row.metric): row.values for row in values},
        {(row.task, row.language): row.ids for row in asked},
    )
    return run, sum(manifest["times"]["cpu_seconds"] for manifest in manifests)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path(".sampan"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    names = [build(number, options.store) for number in options.seeds]
    found = [read(Store(options.store), name) for name in names]
    runs = [run for run, _ in found]
    rows = judged(runs)
    count = {
        word: sum(row["verdict"] == word for row in rows) for word in ("appears", "does not appear", "cannot be told")
    }
    result = {
        "claim": "published effects of SEA-LION v3's steps that appear at small scale, each shown with its errors",
        "ours": count["appears"],
        "peer": len(CLAIMS),
        "ratio": round(count["appears"] / len(CLAIMS), 3),
        "bar": "every effect shown with errors over three seeds",
        "ok": len(runs) >= len(SEEDS),
        "verdicts": count,
        "cpu_seconds": [round(seconds) for _, seconds in found],
    }
    details = {"seeds": list(options.seeds), "effects": rows, **everything(runs)}
    return conclude(result, options.out, packages=("torch", "transformers"), details=details)


if __name__ == "__main__":
    sys.exit(main())
