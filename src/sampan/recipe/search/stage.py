"""`merge.search`: merge with many settings, examine every merge on dev material, and keep the best one.

It stands in this room because a trial is one run of merge.weights and one of evals.run, which do not know each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from ...core.errors import RecipeError, did_you_mean
from ...core.params import params, parse_params
from ...core.stage import Inputs, Runtime, Stage
from ...evals.run import STAGE as EVALS
from ...merge.methods import METHODS
from ...merge.refusals import check_base, check_number, what_it_takes
from ...merge.weights import STAGE as MERGE
from .trials import EVALS_ROLES

_HERE = "merge.search"


@params
class Params:
    methods: list[str]
    """Merge methods to try; the budget is shared out evenly among them."""
    how: Literal["cma_es", "random", "grid"] = "cma_es"
    """cma_es learns from its trials (the extra `sampan[search]`); random draws them all; grid spaces them evenly."""
    num_trials: int = 32
    """Merges to make and examine, at most."""
    weights: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 1.0)])
    """Least and greatest weight, one pair per model, or one for all. Equal ends fix it."""
    density: tuple[float, float] = (0.5, 1.0)
    """Least and greatest density, for the methods that have one; the same for all models."""
    lambda_: tuple[float, float] = (1.0, 1.0)
    """Least and greatest scale of the merged task vector, for the methods that have one."""
    epsilon: float = 0.15
    """DELLA's, at most: less is taken where a density leaves no room for it."""
    normalize: bool = False
    """As in merge.weights. A searched sum needs no mean: its weights find the step."""
    start: list[dict[str, Any]] = field(default_factory=list)
    """Points to try first, such as the merge you have: {method, weights, density, lambda_}. They count as trials, and
    cma_es starts from the first of its method."""
    measures: dict[str, float] = field(default_factory=dict)
    """Weights of the metrics in the objective, such as {bits_per_byte: 1, accuracy: 0.5}: the mean of each over tasks
    and languages, added if higher is better and else subtracted. Empty = every metric, 1 each."""
    evaluation: dict[str, Any] = field(default_factory=dict)
    """Parameters of evals.run for the trials: tasks, max_items, max_new_tokens and so on."""
    seed: int = 0
    """Seed of the proposals and of the merges' random drops."""

    def __post_init__(self) -> None:
        for name in self.methods:
            if name not in METHODS:
                raise RecipeError(f"there is no merge method '{name}'", where=_HERE, how=did_you_mean(name, METHODS))
        ranges = [*self.weights, self.density, self.lambda_]
        if not self.methods or not self.weights or self.num_trials < 1 or any(low > high for low, high in ranges):
            raise RecipeError(
                "methods, weights and num_trials must not be empty, and every range is [least, greatest]", where=_HERE
            )
        for point in self.start:
            if point.get("method") not in self.methods:
                raise RecipeError("a point of `start` names one of the methods", where=_HERE)
            if unknown := set(point) - {"method", "weights", "density", "lambda_"}:
                raise RecipeError(f"a point of `start` has no '{min(unknown)}'", where=_HERE)
        if len(self.start) > self.num_trials:
            raise RecipeError("start has more points than num_trials", where=_HERE)
        parse_params(
            EVALS.params, self.evaluation, where=f"{_HERE}: evaluation", how="See `sampan do evals.run --help`."
        )


def run(given: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .searching import search

    return search(given, inputs, runtime)


def estimate(given: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """All trials one after another, each a merge and an examination; memory and disk are those of one."""
    merging = parse_params(MERGE.params, {"method": given.methods[0], "normalize": given.normalize}, where=_HERE)
    merge = dict(MERGE.estimate(merging, facts)) if MERGE.estimate else {}
    merged = {key: merge[key] for key in ("parameters", "disk_bytes") if key in merge}
    examining = parse_params(EVALS.params, given.evaluation, where=_HERE)
    evals = dict(EVALS.estimate(examining, {**facts, "models": [merged]})) if EVALS.estimate else {}
    return {
        **merged,
        "flops": given.num_trials * evals.get("flops", 0.0),
        "seconds": given.num_trials * (merge.get("seconds", 0.0) + evals.get("seconds", 0.0)),
        "memory_bytes": max(merge.get("memory_bytes", 0.0), evals.get("memory_bytes", 0.0)),
    }


def reads(given: Params) -> Mapping[str, str]:
    """The revisions of merging, of examining and of the methods, and the task files that are asked."""
    examining = parse_params(EVALS.params, given.evaluation, where=_HERE)
    return {
        "merge.weights": str(MERGE.revision),
        "evals.run": str(EVALS.revision),
        **{f"method {name}": METHODS.revision(name) for name in given.methods},
        **(EVALS.reads(examining) if EVALS.reads else {}),
    }


def check(given: Params, kinds: Mapping[str, Sequence[str]]) -> None:
    """RecipeError unless there are ranges and starting weights for the models, every method can merge them, and there
    is something to examine the trials on."""
    if EVALS.check:
        EVALS.check(parse_params(EVALS.params, given.evaluation, where=_HERE), {**kinds, "models": ["checkpoint"]})
    models = len(kinds.get("models", ()))
    if len(given.weights) not in (1, models):
        raise RecipeError(f"weights has {len(given.weights)} ranges for {models} models")
    if any(len(point.get("weights", ())) != models for point in given.start):
        raise RecipeError(f"a point of `start` has a weight for every model, and there are {models}")
    for name in given.methods:
        if takes := what_it_takes(name):
            check_number(name, takes, models)
            check_base(name, takes, bool(kinds.get("base")))


STAGE = Stage(
    name=_HERE,
    revision=1,
    summary="Find a merge's method and weights: trials examined on dev material, the best one kept.",
    params=Params,
    inputs={
        **MERGE.inputs,
        **{role: spec for role, spec in EVALS.inputs.items() if role in EVALS_ROLES},
    },
    output="checkpoint",
    run=run,
    estimate=estimate,
    reads=reads,
    check=check,
    heavy=True,
    paper="Evolutionary merging (arXiv:2403.13187) searches merges by CMA-ES (arXiv:1604.00772).",
)
