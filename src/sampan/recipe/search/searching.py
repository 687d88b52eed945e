"""The search itself: rounds of trials through the shard engine, so that a killed search goes on where it was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import StageError
from ...core.stage import Artifact, Inputs, Runtime
from .picture import draw
from .proposals import Box, flat_settings, make_boxes, make_walk
from .stage import Params
from .trials import EVALS_ROLES, MERGE_ROLES, loss_of, merge_at

FORMAT, FILE, PICTURE = "merge-search/1", "search.json", "search.svg"


def search(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write the best merge with `search.json` and `search.svg`; returns its metrics. RecipeError before any trial if
    the ranges, the start or the budget cannot be."""
    boxes = make_boxes(params, len(inputs.many("models")))
    start = [
        {name: list(value) if name == "weights" else value for name, value in point.items()} for point in params.start
    ]
    left = params.num_trials - len(start)
    fixed = {"normalize": params.normalize, "epsilon": params.epsilon, "seed": params.seed}
    trials = _Trials(params, inputs, runtime, fixed)
    if start:
        trials.make("start", start)
    shares = [left // len(boxes) + (number < left % len(boxes)) for number in range(len(boxes))]
    pairs = enumerate(zip(boxes, shares, strict=True))
    walks = [make_walk(params, box, share, number) for number, (box, share) in pairs if share]
    _walk(trials, list(zip(boxes, walks, strict=False)))
    best = min(trials.done, key=lambda trial: trial["loss"])
    if not math.isfinite(best["loss"]):
        raise StageError("no trial gave a number", where="merge.search", how="Look at the ranges of the weights.")
    final = Runtime(
        out=runtime.out,
        state=runtime.state / "best",
        threads=runtime.threads,
        device=runtime.device,
        checkpoint_seconds=runtime.checkpoint_seconds,
    )
    final.state.mkdir(exist_ok=True)
    merged = merge_at(best["point"], fixed, inputs, final)
    about = {"format": FORMAT, "how": params.how, "best": best, "trials": trials.done}
    text = json.dumps(about, ensure_ascii=False, indent=1, sort_keys=True)
    (runtime.out / FILE).write_text(text + "\n", encoding="utf-8")
    (runtime.out / PICTURE).write_text(draw(trials.done, best), encoding="utf-8")
    return {**merged, **_metrics(trials.done, best)}


class _Trials:
    """Trials made so far, in order."""

    def __init__(self, params: Params, inputs: Inputs, runtime: Runtime, fixed: Mapping[str, Any]) -> None:
        self.params, self.runtime, self.fixed = params, runtime, fixed
        self.done: list[dict[str, Any]] = []
        roles = [role for role in (*MERGE_ROLES, *EVALS_ROLES) if inputs.many(role)]
        self._inputs = {role: [_described(item) for item in inputs.many(role)] for role in roles}

    def make(self, phase: str, points: Sequence[dict[str, Any]]) -> list[float]:
        """Merge and examine points, side by side where the engine allows; returns their losses."""
        shared = {"fixed": dict(self.fixed), "inputs": self._inputs, "evaluation": dict(self.params.evaluation)}
        machine = {"threads": self.runtime.threads, "device": self.runtime.device}
        jobs = [{"point": point, **shared, **machine} for point in points]
        shards = self.runtime.shards(phase, "sampan.recipe.search.trials:trial_job", jobs, unit="trials")
        losses = []
        for point, shard in zip(points, shards, strict=True):
            measures = shard.facts["measures"]
            loss = loss_of(measures, self.params.measures)
            losses.append(loss if math.isfinite(loss) else math.inf)
            values = {metric: float(f"{found['value']:.7g}") for metric, found in measures.items()}
            self.done.append({"round": phase, "point": point, "measures": values, "loss": float(f"{losses[-1]:.9g}")})
        self.runtime.log(f"{len(self.done)} trials; the best loss so far is {min(t['loss'] for t in self.done):.5f}")
        return losses


def _described(item: Artifact) -> dict[str, str]:
    return {"path": str(item.path), "kind": item.kind, "digest": item.digest, "name": item.name}


def _walk(trials: _Trials, walks: Sequence[tuple[Box, Any]]) -> None:
    """Ask all walks, make their trials together, tell each its own; until none asks."""
    number = 0
    while any(asked := [walk.ask() for _, walk in walks]):
        points = [box.point(place) for (box, _), places in zip(walks, asked, strict=True) for place in places]
        losses = iter(trials.make(f"round-{number:04d}", points))
        for (_, walk), places in zip(walks, asked, strict=True):
            walk.tell(places, [next(losses) for _ in places])
        number += 1


def _metrics(trials: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> dict[str, Any]:
    settings = ", ".join(f"{name} {value:g}" for name, value in flat_settings(best["point"]).items())
    losses = sorted(trial["loss"] for trial in trials)
    return {
        "trials": len(trials),
        "best": best["point"],
        "loss": best["loss"],
        "median_loss": losses[len(losses) // 2],
        "measures": best["measures"],
        "text": f"{best['point']['method']} with {settings}: loss {best['loss']:.5f}, the best of {len(trials)} trials",
    }
