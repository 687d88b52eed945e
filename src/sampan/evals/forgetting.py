"""`evals.forgetting`: fail a run whose model has forgotten more than it may.

For each watched score the question is not whether it fell but whether it fell by more than its limit: the test of
"loss ≤ limit" on the same items. Many scores are watched at once, so their p-values pass Holm's procedure (1979): the
chance of any false alarm stays below 1 - confidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any, Literal

from ..core.errors import RecipeError, StageError, did_you_mean
from ..core.lines import write_jsonl
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    parent: str
    """The model to measure from, as the scores name it."""
    children: list[str] = field(default_factory=list)
    """Models that may not forget; empty = every other scored model."""
    limits: dict[str, float] = field(default_factory=lambda: {"acc": 0.03, "exact_match": 0.03, "bits_per_byte": 0.05})
    """How far each metric may get worse, in its own unit; only these metrics are watched. Ours, not a paper's."""
    tasks: list[str] = field(default_factory=list)
    """Only these tasks; empty = all."""
    languages: list[str] = field(default_factory=list)
    """Only these languages, as codes like eng_Latn; empty = all."""
    confidence: float = 0.95
    """How sure the alarm must be that some limit is passed."""
    on_alarm: Literal["fail", "tell"] = "fail"
    """`fail` stops the run; `tell` only writes it down."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1:
            raise ValueError("confidence must be at least 0.5 and below 1")
        if not self.limits or min(self.limits.values()) < 0:
            raise ValueError("limits needs at least one metric, and no negative number")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..artifacts.item_values import read_item_values
    from ..artifacts.scores import read_scores, write_scores
    from .ledger import changes

    scores, asked, values = [], [], []
    for source in inputs.many("scores"):
        scores += read_scores(source)
        told = read_item_values(source)
        asked += told[0]
        values += told[1]
    models = {score.model for score in scores}
    for name in (params.parent, *params.children):
        if name not in models:
            raise RecipeError(
                f"the model '{name}' has no scores", where="evals.forgetting", how=did_you_mean(name, models)
            )
    children = params.children or sorted(models - {params.parent})
    found = changes(scores, asked, values, dict.fromkeys(children, params.parent))
    watched = [
        change
        for change in found
        if change.metric in params.limits
        and (not params.tasks or change.task in params.tasks)
        and (not params.languages or change.language in params.languages)
    ]
    if not watched:
        raise RecipeError(
            "no score of the parent and its children can be compared",
            where="evals.forgetting",
            how=f"They need equal questions, and one of the metrics {', '.join(sorted(params.limits))}.",
        )
    lost = alarms(watched, params.limits, params.confidence)
    write_scores(runtime.out, [])
    rows = ({**asdict(change), "watched": change in watched, "alarm": change in lost} for change in found)
    write_jsonl(runtime.out / "ledger.jsonl", rows)
    if lost and params.on_alarm == "fail":
        said = "; ".join(
            f"{c.child} lost {-c.gain:.4g} ± {c.stderr:.2g} of {c.task} {c.metric} in {c.language or 'no language'}"
            for c in lost
        )
        raise StageError(
            f"more was forgotten since '{params.parent}' than the limits allow: {said}",
            where="evals.forgetting",
            how="Train with more replay or a lower lr, merge with the parent, or raise the limits.",
        )
    return {"watched": len(watched), "alarms": len(lost), "worst": min((c.gain for c in watched), default=0.0)}


def alarms(watched: list, limits: Mapping[str, float], confidence: float) -> list:
    """The changes that are surely worse than their limits, by Holm's procedure."""
    ranked = sorted(watched, key=lambda change: _p_value(change, limits[change.metric]))
    lost = []
    for rank, change in enumerate(ranked):
        if _p_value(change, limits[change.metric]) > (1 - confidence) / (len(ranked) - rank):
            break
        lost.append(change)
    return lost


def _p_value(change: Any, limit: float) -> float:
    """Chance of such a loss, or a larger one, if the true one were just the limit."""
    import math

    from .statistics import t_tail

    beyond = -change.gain - limit
    if change.stderr == 0:
        return 0.0 if beyond > 0 else 1.0
    t = beyond / change.stderr
    tail = t_tail(abs(t), change.freedom) if change.freedom else math.erfc(abs(t) / math.sqrt(2)) / 2
    return tail if t > 0 else 1 - tail


STAGE = Stage(
    name="evals.forgetting",
    revision=1,
    summary="Alarm: fails the run when a score fell by more than its limit, with confidence, against a named model.",
    params=Params,
    inputs={"scores": Role(kinds=("scores",), help="scores of the parent and of its children", many=True)},
    output="scores",
    run=run,
    paper="Paired tests on the same items (Miller, arXiv:2411.00640); Holm (1979). The limits are ours.",
)
