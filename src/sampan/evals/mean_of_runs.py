"""`evals.mean_of_runs`: the mean of models that differ by chance alone (seeds of training or decoding), as one model.

A score's error has two sources, the items that happened to be asked and the runs that happened to be made. The first is
the clustered error of each item's mean over the runs, the second the standard error of the runs' scores. Both hold what
items and runs do together, so that the root of the sum of their squares is never too small (Miller, arXiv:2411.00640,
section 3.1, has the first alone). Where items' values are not kept the error is that over runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import RecipeError, StageError, did_you_mean
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage

if TYPE_CHECKING:
    from ..artifacts.item_values import Asked, ItemValues
    from ..artifacts.scores import Score

Key = tuple[str, str, str]
"""Task, language, metric."""


@params
class Params:
    runs: dict[str, list[str]]
    """Names of means and the scored models that each is the mean of, such as {sft: [sft_a, sft_b, sft_c]}."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("runs is empty")
        for name, models in self.runs.items():
            if len(set(models)) < 2 or len(set(models)) < len(models):
                raise ValueError(f"runs.{name} must name at least two models, each once")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    """Write scores and, where every run has them, items' values; returns what could not be averaged."""
    from ..artifacts.item_values import read_item_values, write_item_values
    from ..artifacts.scores import read_scores, write_scores

    scores = [score for source in inputs.many("scores") for score in read_scores(source)]
    told = [read_item_values(source) for source in inputs.many("scores")]
    asked = {(row.task, row.language, row.prompt_digest): row for rows, _ in told for row in rows}
    kept = [row for _, rows in told for row in rows]
    rows: list[Score] = []
    values: list[ItemValues] = []
    missing: list[str] = []
    for name, models in params.runs.items():
        by_key = _by_key(scores, models)
        for key, some in by_key.items():
            if len(some) < len(models):
                missing.append(f"{name}: {'/'.join(key)} has {len(some)} of {len(models)} runs")
                continue
            items = _item_means(name, key, [kept_row for kept_row in kept if kept_row.model in models], some)
            rows.append(_mean(name, some, items, asked))
            values += [items] if items else []
    if not rows:
        raise StageError("no score is there for every run", where="evals.mean_of_runs", how="; ".join(missing[:3]))
    write_scores(runtime.out, rows)
    used = {(row.task, row.language, row.prompt_digest) for row in values}
    write_item_values(runtime.out, [row for key, row in asked.items() if key in used], values)
    return {"scores": len(rows), "with_items": len(values), "incomplete": missing}


def _by_key(scores: Sequence[Score], models: Sequence[str]) -> dict[Key, list[Score]]:
    """The models' scores by what they measure, in order; RecipeError for a model without scores, StageError where the
    runs were not asked the same."""
    known = {score.model for score in scores}
    for model in models:
        if model not in known:
            raise RecipeError(
                f"the model '{model}' has no scores", where="evals.mean_of_runs", how=did_you_mean(model, known)
            )
    found: dict[Key, list[Score]] = {}
    for score in scores:
        if score.model in models:
            found.setdefault((score.task, score.language, score.metric), []).append(score)
    for key, some in found.items():
        if len({(score.prompt_digest, score.revision) for score in some}) > 1:
            raise StageError(f"the runs were not asked the same in {'/'.join(key)}", where="evals.mean_of_runs")
    return found


def _item_means(name: str, key: Key, kept: Sequence[ItemValues], scores: Sequence[Score]) -> ItemValues | None:
    """Each item's mean over the runs, or None unless every run has a value of every item."""
    from ..artifacts.item_values import ItemValues
    from .statistics import item_means

    runs = [row for row in kept if (row.task, row.language, row.metric) == key]
    if len(runs) < len(scores) or any(value is None for row in runs for value in row.values):
        return None
    means = item_means([[float(value) for value in row.values if value is not None] for row in runs])
    task, language, metric = key
    return ItemValues(
        model=name,
        model_digest=_digest(scores),
        task=task,
        language=language,
        metric=metric,
        prompt_digest=scores[0].prompt_digest,
        revision=scores[0].revision,
        values=list(means),
    )


def _mean(
    name: str, scores: Sequence[Score], items: ItemValues | None, asked: Mapping[tuple[str, str, str], Asked]
) -> Score:
    """One row in place of the runs' rows."""
    from ..artifacts.scores import Score
    from .statistics import clustered_error, over_runs

    first = scores[0]
    value, error = over_runs([score.value for score in scores])
    if items:
        told = asked[first.task, first.language, first.prompt_digest]
        numbers = [float(value) for value in items.values if value is not None]
        of_items = clustered_error(numbers, told.clusters or told.ids, told.weights or None)
        error = math.hypot(error or 0.0, of_items or 0.0)
    return Score(
        model=name,
        model_digest=_digest(scores),
        task=first.task,
        language=first.language,
        metric=first.metric,
        value=value,
        stderr=error,
        n=first.n,
        higher_is_better=first.higher_is_better,
        prompt_digest=first.prompt_digest,
        revision=first.revision,
        left_out=first.left_out,
        empty=sum(score.empty for score in scores),
        looping=sum(score.looping for score in scores),
        cut_off=sum(score.cut_off for score in scores),
    )


def _digest(scores: Sequence[Score]) -> str:
    """A digest for the set of runs."""
    from ..core.identity import digest_text

    return digest_text("\n".join(sorted(score.model_digest for score in scores)))


STAGE = Stage(
    name="evals.mean_of_runs",
    revision=1,
    summary="The mean of scored models that differ by their seeds alone, with the error of items and runs.",
    params=Params,
    inputs={"scores": Role(kinds=("scores",), help="scores of the runs, asked the same", many=True)},
    output="scores",
    run=run,
    paper="Miller, arXiv:2411.00640, section 3.1: answers drawn several times; the error over runs is added by us.",
)
