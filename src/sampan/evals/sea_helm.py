"""Stage `evals.sea_helm`: SEA-HELM, version 1.0 or 1.2, from the user's copy of its repository."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage

_PLACE = re.compile(r"[^/*]+/[^/*]+(\*100)?")


@params
class Params:
    """What of SEA-HELM is asked, and how."""

    profile: Literal["sea_helm_v1", "sea_helm_v1_2"] = "sea_helm_v1"
    """Version 1.0 (the tag v1.0.0, of the SEA-LION v3 paper) or 1.2 (v1.2.1, the leaderboard's)."""
    suite: str = "seahelm"
    """A suite of the copy's task_config.yaml."""
    languages: list[str] = field(default_factory=list)
    """Only these languages, as codes like tha_Thai; empty = all of the suite."""
    tasks: list[str] = field(default_factory=list)
    """Only these tasks, by their official names; empty = all of the suite."""
    base_model: bool = False
    """Whether the models are base models: five solved examples, no chat template, answers end at an empty line."""
    shots: int | None = None
    """Solved examples before each question; unset, 5 for base models and 0 for others, as in SEA-HELM."""
    max_items: int = 0
    """Most items per task and language, 0 = all: the first ones, as the official `--limit` takes them."""
    judged_as: dict[str, str] = field(default_factory=dict)
    """Where the `judged` scores have what a judge gives, by official task: `mt-bench: TASK/METRIC`, with `*100` behind
    it if they are shares of 1. Without an entry the official names of task and metric are looked for, and for
    `mt-bench` also what `evals.judge` writes for its benchmark `sea_mtbench`."""
    batch_size: int = 32
    """Prompts that are answered at once."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights."""
    keep_samples: int = 5
    """Questions per task and language that the report shows; every answer is kept in answers.jsonl."""
    seed: int = 1234
    """Seed of sampling, where a task has a temperature (1.0's summaries: 0.3); SEA-HELM's own."""

    def __post_init__(self) -> None:
        for name in ("max_items", "keep_samples"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more")
        if self.batch_size < 1:
            raise ValueError("batch_size must be 1 or more")
        if self.shots is not None and self.shots < 0:
            raise ValueError("shots must be 0 or more")
        if odd := [name for name, place in self.judged_as.items() if not _PLACE.fullmatch(place)]:
            raise ValueError(f"judged_as: '{odd[0]}' must name TASK/METRIC, or TASK/METRIC*100")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .helm.run import examine

    return examine(params, inputs, runtime)


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """2 FLOPs per parameter and token; a suite is taken as 60 tasks of `max_items` (or 600) items of 400 tokens, of
    which 50 are the answer."""
    models = [fact.get("parameters", 0.0) for fact in facts.get("models", [])]
    tokens = 400 * (params.max_items or 600) * 60
    width = 2 if params.dtype == "bfloat16" else 4
    return {
        "flops": 2 * tokens * sum(models),
        "forward_flops": 2 * tokens * sum(models),
        "decode_bytes": tokens / 8 / params.batch_size * width * sum(models),
        "number_bytes": width,
        "seconds": 2 * tokens * sum(models) / 5e10,
        "memory_bytes": width * max(models, default=0.0) * 1.25,
        "disk_bytes": 1e7 * max(1, len(models)),
    }


STAGE = Stage(
    name="evals.sea_helm",
    revision=4,
    summary="SEA-HELM's scores: its own tasks and prompts, answers read, marked and totalled as its code does.",
    params=Params,
    inputs={
        "models": Role(kinds=("checkpoint",), help="the checkpoints to compare", many=True),
        "sea_helm": Role(kinds=("files",), help="a copy of the repository aisingapore/SEA-HELM at the profile's tag"),
        "data": Role(
            kinds=("files",), help="a folder with copies of the data sets that 1.2 keeps on the hub", required=False
        ),
        "judged": Role(kinds=("scores",), help="scores that need a judge, by these models", many=True, required=False),
        "judgements": Role(
            kinds=(), help="what a judge said about SEA-MTBench answers (JSONL), for 1.0's win rate", required=False
        ),
        "metricx": Role(kinds=(), help="MetricX-24 scores of the translations (JSONL)", required=False),
        "answers": Role(
            kinds=("scores",), help="answers that an earlier run wrote, instead of new ones", many=True, required=False
        ),
    },
    output="scores",
    run=run,
    estimate=estimate,
    heavy=True,
    spreads=True,
    paper="SEA-HELM (arXiv:2502.14301) and its repository at v1.0.0 and v1.2.1; SEA-LION v3 (arXiv:2504.05747).",
)
