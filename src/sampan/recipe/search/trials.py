"""One trial: merge at a point into a folder of its own, examine it, keep the scores and throw the weights away."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...artifacts.scores import Score, read_scores
from ...core.errors import RecipeError, did_you_mean
from ...core.identity import digest_value
from ...core.params import parse_params
from ...core.stage import Artifact, Inputs, Runtime
from ...evals.run import STAGE as EVALS
from ...merge.weights import STAGE as MERGE

MERGE_ROLES = ("base", "models")
EVALS_ROLES = ("held_out", "items", "data")
_ROOM = 0.99
"""DELLA's keep probabilities must stay inside (0, 1), so epsilon takes at most this part of the way to an end."""


def trial_job(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Merge at `job["point"]` and return its `measures`."""
    merged, scored, state = out / "merged", out / "scored", out / "state"
    for folder in (merged, scored, state):
        folder.mkdir()
    inputs = {role: [Artifact(path=Path(item.pop("path")), **item) for item in items] for role, items in _copy(job)}
    runtime = Runtime(out=merged, state=state, threads=job["threads"], device=job["device"])
    merge_at(job["point"], job["fixed"], inputs, runtime)
    model = Artifact(path=merged, kind="checkpoint", digest=digest_value(job["point"]), name="trial")
    asked = {"models": [model], **{role: inputs[role] for role in EVALS_ROLES if role in inputs}}
    values = {"sample_prompts": 0, "max_domains": 0, **job["evaluation"]}
    params = parse_params(EVALS.params, values, where="merge.search: evaluation")
    EVALS.run(params, Inputs(asked), Runtime(out=scored, state=state, threads=job["threads"], device=job["device"]))
    measures = means(read_scores(scored))
    for folder in (merged, scored, state):
        shutil.rmtree(folder)
    return {"measures": measures}


def _copy(job: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(role, [dict(item) for item in items]) for role, items in job["inputs"].items()]


def merge_at(
    point: Mapping[str, Any], fixed: Mapping[str, Any], inputs: Mapping[str, Sequence[Artifact]], runtime: Runtime
) -> Mapping[str, Any]:
    """Write the merge of a point into `runtime.out`; `fixed` holds normalize, epsilon and seed. Returns its metrics."""
    given = {**point, "normalize": fixed["normalize"], "seed": fixed["seed"]}
    if point["method"].startswith("della"):
        density = point.get("density", 1.0)
        room = min(density, 1 - density) * _ROOM if density < 1 else fixed["epsilon"]
        given["epsilon"] = min(fixed["epsilon"], room)
    params = parse_params(MERGE.params, given, where="merge.search")
    roles = {role: inputs[role] for role in MERGE_ROLES if role in inputs}
    return MERGE.run(params, Inputs(roles), runtime)


def means(scores: Sequence[Score]) -> dict[str, dict[str, Any]]:
    """Every metric's mean over its rows, and whether higher is better."""
    found: dict[str, list[Score]] = {}
    for score in scores:
        found.setdefault(score.metric, []).append(score)
    return {
        metric: {
            "value": sum(row.value for row in rows) / len(rows),
            "higher_is_better": rows[0].higher_is_better,
            "rows": len(rows),
        }
        for metric, rows in sorted(found.items())
    }


def loss_of(measures: Mapping[str, Mapping[str, Any]], weights: Mapping[str, float]) -> float:
    """What the search makes small. RecipeError for a weight of a metric that the examination does not give."""
    for metric in weights:
        if metric not in measures:
            raise RecipeError(
                f"the examination gives no metric '{metric}'", where="measures", how=did_you_mean(metric, measures)
            )
    chosen = weights or dict.fromkeys(measures, 1.0)
    return sum(
        weight * measures[metric]["value"] * (-1 if measures[metric]["higher_is_better"] else 1)
        for metric, weight in chosen.items()
    )
