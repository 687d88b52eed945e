"""merge.search on the village: does it find a merge at least as good as the recipe's hand-set one, within its budget?

    sampan run recipes/village.yaml
    python benchmarks/merge_search_village.py --store .sampan --out benchmarks/results/merge_search_village.json

The search gets the same three checkpoints as the recipe's `final`, not its settings, and examines its trials on text
and questions of its own (another seed: the same invented facts told in other sentences). Both merges are then judged on
the recipe's `held_out` and `questions`, which the search never sees, by the objective it had: bits per byte less the
mean of each other metric.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from result import conclude

from sampan.artifacts.scores import read_scores
from sampan.recipe.search.trials import loss_of, means
from sampan.store.store import Store

METHODS = "[della_linear, task_arithmetic]"
EVALUATION = "{max_items: 12, max_new_tokens: 40, batch_size: 64}"
JUDGING = ("max_items=30", "max_new_tokens=40", "sample_prompts=0", "batch_size=64")
DEV_SEED = 7


def sampan(*words: object) -> None:
    done = subprocess.run([sys.executable, "-m", "sampan.cli.main", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def do(stage: str, out: Path, sources: dict[str, Path | list[Path]], *params: str) -> Path:
    """Run one stage on folders."""
    given = [(role, path) for role, each in sources.items() for path in (each if isinstance(each, list) else [each])]
    inputs = [word for role, path in given for word in ("--from", f"{role}={path}")]
    sampan("do", stage, *inputs, *(word for param in params for word in ("--with", param)), "--out", out)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path(".sampan"))
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    store = Store(options.store)

    def built(name: str) -> Path:
        return store.artifact(store.lookup(store.ref("village", name)["key"]), name=name).path

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        dev_text = do("corpus.village", work / "text", {}, "part=held_out", "num_documents=8", f"seed={DEV_SEED}")
        dev_items = do("corpus.village", work / "items", {}, "part=questions", f"seed={DEV_SEED}")
        sources = {"base": built("hybrid"), "models": [built("sft"), built("aligned")]}
        clock = time.monotonic()
        found = do(
            "merge.search",
            work / "found",
            {**sources, "held_out": dev_text, "items": dev_items},
            f"methods={METHODS}",
            f"num_trials={options.trials}",
            f"evaluation={EVALUATION}",
            "weights=[[0, 1.2]]",
        )
        seconds = time.monotonic() - clock
        judged = {"held_out": built("held_out"), "items": built("questions")}
        scores = do("evals.run", work / "scores", {"models": [found, built("final")], **judged}, *JUDGING)
        rows = read_scores(scores)
        search = json.loads((found / "search.json").read_text())
    names = {"ours": "found", "peer": next(row.model for row in rows if row.model != "found")}
    measures = {side: means([row for row in rows if row.model == name]) for side, name in names.items()}
    losses = {side: round(loss_of(each, {}), 5) for side, each in measures.items()}
    line = {
        "claim": "a searched merge against the village's hand-set one: bits per byte less accuracies, lower is better",
        "ours": losses["ours"],
        "peer": losses["peer"],
        "peer_is": "the recipe's `final`: della_linear with weights 0.45 and 0.45",
        "ratio": round(losses["peer"] - losses["ours"], 5),
        "bar": 0.0,
        "ok": losses["ours"] <= losses["peer"] and len(search["trials"]) <= options.trials,
        "measures": {side: {name: round(m["value"], 4) for name, m in each.items()} for side, each in measures.items()},
        "found": search["best"],
        "trials": len(search["trials"]),
        "seconds": round(seconds),
    }
    return conclude(line, options.out, packages=("cmaes",))


if __name__ == "__main__":
    sys.exit(main())
