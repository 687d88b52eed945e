"""The scoreboard of a finished real-mini lineage, timed: every checkpoint on XCOPA, Belebele and held-back text.

    python benchmarks/scoreboard_real_mini.py --data DATA --out benchmarks/results/scoreboard_real_mini.json
    python benchmarks/scoreboard_real_mini.py --data DATA --store STORE

STORE holds a build of the recipe; without it the lineage is built first, in half an hour. Its scoring stages are then
run anew, each in a process of its own with one thread, two at a time, with the recipe's own parameters, and the ledger
is made of what they wrote. The bar is two minutes on two cores. Wall time is meant, so the machine must have
nothing else to do: processor time is told beside it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from result import conclude

from sampan.artifacts.item_values import read_item_values
from sampan.artifacts.scores import read_scores
from sampan.evals.ledger import changes
from sampan.recipe.load import Recipe, bundled, load_recipe
from sampan.store.store import Store

RECIPE = "real-mini"
BAR_SECONDS = 120.0
LANES = 2


def sampan(*words: object) -> None:
    done = subprocess.run([sys.executable, "-m", "sampan.cli.main", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")


def score(recipe: Recipe, store: Store, name: str, data: Path, out: Path) -> None:
    """One scoring stage of the recipe on what the store has, without looking for what it gave before."""
    declared = recipe.stages[name]
    words: list[object] = ["do", "evals.run", "--threads", 1, "--out", out]
    for role, names in declared.sources.items():
        for source in names:
            path = data if source in recipe.inputs else folder(store, source)
            words += ["--from", f"{role}={path}"]
    for key, value in declared.params.items():
        words += ["--with", f"{key}={json.dumps(value)}"]
    sampan(*words)


def folder(store: Store, stage: str) -> Path:
    """What a stage of the recipe made; its name is what `sampan do` calls a model."""
    ref = store.ref(RECIPE, stage)
    if ref is None:
        sys.exit(f"{store.root} has no {RECIPE}/{stage}; without --store the lineage is built first.")
    return store.artifact(store.lookup(ref["key"]), name=stage).path


def parents(recipe: Recipe, models: list[str]) -> dict[str, str]:
    """The scored model that each scored model was made from."""
    found = {}
    for model in models:
        here = model
        while here in recipe.stages:
            sources = recipe.stages[here].sources
            made_from = next((sources[role] for role in ("model", "base", "models") if role in sources), [])
            if not made_from:
                break
            here = made_from[0]
            if here in models:
                found[model] = here
                break
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that the recipe calls `data`")
    parser.add_argument("--store", type=Path, help="a store with a finished build of the recipe")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    recipe = load_recipe(bundled()[RECIPE])
    stages = [name for name, declared in recipe.stages.items() if declared.kind == "evals.run"]
    models = [model for name in stages for model in recipe.stages[name].sources["models"]]
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        root = options.store or work / "store"
        if options.store is None:
            sampan("run", RECIPE, "--set", f"inputs.data=dir:{options.data.resolve()}", "--store", root)
        store = Store(root)
        used, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        largest = sorted(stages, key=lambda name: -len(recipe.stages[name].sources["models"]))
        with ThreadPoolExecutor(LANES) as lanes:
            list(lanes.map(lambda name: score(recipe, store, name, options.data, work / name), largest))
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        scores = [row for name in stages for row in read_scores(work / name)]
        told = [read_item_values(work / name) for name in stages]
        made = {folder(store, child).name: folder(store, of).name for child, of in parents(recipe, models).items()}
        ledger = changes(scores, told[0][0], [row for _, values in told for row in values], made)
        wall = time.monotonic() - clock
    asked = {(row.task, row.language, row.metric) for row in scores}
    whole = len(scores) == len(asked) * len(models) and all(row.n == 1 or row.stderr is not None for row in scores)
    line = {
        "claim": "scoreboard and ledger of every checkpoint of a finished real-mini lineage, seconds on two cores",
        "ours": round(wall, 1),
        "peer": BAR_SECONDS,
        "ratio": round(wall / BAR_SECONDS, 3),
        "bar": 1.0,
        "ok": wall <= BAR_SECONDS and whole and bool(ledger),
        "cpu_seconds": round(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, 1),
        "models": len(models),
        "scores": len(scores),
        "complete": whole,
        "changes": len(ledger),
        "sure": sum(change.sure for change in ledger),
    }
    return conclude(line, options.out, packages=("torch", "transformers"))


if __name__ == "__main__":
    sys.exit(main())
