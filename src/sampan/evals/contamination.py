"""`evals.contamination`: each score beside what of its items was seen in training, and the score without those.

The items of a score are joined by task, language and name with what `corpus.find_items` found. An item counts as seen
if any of its texts was found, whole or in part; the score without them is the (weighted) mean of the others' values.
For a figure that is no mean of its items (chrF, an F1) these values are the jackknife's, so that it is an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import StageError
from ..core.lines import write_jsonl
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage

if TYPE_CHECKING:
    from ..artifacts.findings import Findings
    from ..artifacts.item_values import Asked, ItemValues
    from ..artifacts.scores import Score


@params
class Params:
    max_share: float = 1.0
    """Largest share of a score's items that may have been seen; more fails the run. 1 never does."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_share <= 1:
            raise ValueError("max_share is in 0..1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """One score's items in the training text. `searched` < `n` says that some, 0 that none were looked for."""

    model: str
    task: str
    language: str
    metric: str
    n: int
    searched: int
    exact: int
    """Items that one training document holds whole."""
    overlapping: int
    """Other items of which something was found."""
    value: float
    value_without: float | None
    """None where every item was seen, or the items' values are not kept."""
    stderr_without: float | None

    @property
    def seen(self) -> int:
        return self.exact + self.overlapping


def contaminations(
    scores: Iterable[Score],
    asked: Iterable[Asked],
    values: Iterable[ItemValues],
    findings: Sequence[Findings],
    corpora: Mapping[str, set[str]] | None = None,
) -> list[Contamination]:
    """One row for each score, in their order. `corpora` names, by model, the digests of the corpora that it was trained
    on; without it every model counts as trained on all that was searched."""
    items = {(row.task, row.language, row.prompt_digest): row for row in asked}
    each = {(row.model, row.task, row.language, row.metric, row.prompt_digest): row.values for row in values}
    rows = []
    for score in scores:
        known = items.get((score.task, score.language, score.prompt_digest))
        mine = None if corpora is None else corpora.get(score.model, set())
        rows.append(_row(score, known, each.get(_key(score)), _Seen(findings, score.task, score.language, mine)))
    return rows


def _key(score: Score) -> tuple[str, ...]:
    return (score.model, score.task, score.language, score.metric, score.prompt_digest)


class _Seen:
    """Names of one task's items in one language: looked for, found whole, found at all."""

    def __init__(self, findings: Sequence[Findings], task: str, language: str, corpora: set[str] | None) -> None:
        def is_mine(names: Iterable[str]) -> bool:
            return corpora is None or not corpora.isdisjoint(names)

        here = [each for each in findings if is_mine(each.corpora)]
        rows = [row for each in here for row in each.searched if (row.task, row.language) == (task, language)]
        found = [row for each in here for row in each.found if (row.task, row.language) == (task, language)]
        self.searched = {name for row in rows for name in row.ids}
        self.found = {row.item for row in found if is_mine([row.corpus])}
        self.exact = {row.item for row in found if row.exact and is_mine([row.corpus])}


def _row(score: Score, asked: Asked | None, values: Sequence[float | None] | None, seen: _Seen) -> Contamination:
    ids = asked.ids if asked else []
    exact, found = (sum(name in names for name in ids) for names in (seen.exact, seen.found))
    without = error = None
    if asked and values is not None and len(values) == len(ids):
        without, error = _without(asked, values, seen.found)
    return Contamination(
        model=score.model,
        task=score.task,
        language=score.language,
        metric=score.metric,
        n=score.n,
        searched=sum(name in seen.searched for name in ids),
        exact=exact,
        overlapping=found - exact,
        value=score.value,
        value_without=without,
        stderr_without=error,
    )


def _without(
    asked: Asked, values: Sequence[float | None], seen: set[str]
) -> tuple[float, float | None] | tuple[None, None]:
    """The mean and its error over the items that are not in `seen`."""
    from .statistics import clustered_error

    kept = [n for n, name in enumerate(asked.ids) if name not in seen and values[n] is not None]
    if not kept:
        return None, None
    weights = [asked.weights[n] for n in kept] if asked.weights else [1.0] * len(kept)
    clusters = [asked.clusters[n] if asked.clusters else str(n) for n in kept]
    numbers = [values[n] for n in kept]
    mean = math.fsum(w * x for w, x in zip(weights, numbers, strict=True)) / math.fsum(weights)
    return mean, clustered_error(numbers, clusters, weights)


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..artifacts.findings import read_findings
    from ..artifacts.item_values import read_item_values
    from ..artifacts.scores import read_scores, write_scores

    findings = [read_findings(source) for source in inputs.many("findings")]
    rows: list[Contamination] = []
    for source in inputs.many("scores"):
        rows += contaminations(read_scores(source), *read_item_values(source), findings)
    write_scores(runtime.out, [])
    write_jsonl(runtime.out / "contamination.jsonl", ({**asdict(row), "seen": row.seen} for row in rows))
    dirty = [row for row in rows if row.searched and row.seen > params.max_share * row.n]
    if dirty:
        said = "; ".join(f"{row.seen} of {row.n} items of {row.task} in {row.language}" for row in dirty[:5])
        raise StageError(
            f"training text holds more of the evaluation than `max_share` allows: {said}",
            where="evals.contamination",
            how="Take them out with corpus.decontaminate before training, or raise the share.",
        )
    checked = [row for row in rows if row.searched]
    return {
        "scores": len(rows),
        "checked": len(checked),
        "with_seen_items": sum(row.seen > 0 for row in checked),
        "largest_share": max((row.seen / row.n for row in checked if row.n), default=0.0),
    }


STAGE = Stage(
    name="evals.contamination",
    revision=1,
    summary="Every score beside how many of its items stand in the training text, and the score without those.",
    params=Params,
    inputs={
        "scores": Role(kinds=("scores",), help="scores of `evals.run`", many=True),
        "findings": Role(kinds=("findings",), help="what `corpus.find_items` found of their items", many=True),
    },
    output="scores",
    run=run,
    paper="GPT-3 (arXiv:2005.14165) appendix C: scores with and without the items that were seen.",
)
