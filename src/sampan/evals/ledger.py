"""The ledger of a lineage: what a model gained and lost against the one it was made from, and how sure that is.

Both were asked the same items (equal `prompt_digest`), so they are compared item by item where the values of each item
are kept, and as two independent figures where they are not. Of all changes of one step those count as sure that
Benjamini and Hochberg's procedure (1995) lets through at a false discovery rate of 5 %: with a hundred scores, a plain
5 % test would show five changes where nothing happened.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..artifacts.item_values import Asked, ItemValues
from ..artifacts.scores import Score
from .statistics import paired

FALSE_DISCOVERIES = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One score of a child against its parent's. `gain` is positive for the better, whatever the metric's direction."""

    parent: str
    child: str
    task: str
    language: str
    metric: str
    before: float
    after: float
    gain: float
    stderr: float
    p_value: float
    freedom: int
    """Degrees of freedom of Student's t; 0 = normal."""
    n: int
    paired: bool
    sure: bool = False


def changes(
    scores: Iterable[Score],
    asked: Iterable[Asked],
    values: Iterable[ItemValues],
    parents: Mapping[str, str],
) -> list[Change]:
    """Changes of every model in `parents` ({child: parent}) in every score that both have; `sure` is set.

    A score whose error is unknown on either side, or that was asked otherwise, has no entry.
    """
    items = {(row.task, row.language, row.prompt_digest): row for row in asked}
    each = {(row.model, row.task, row.language, row.metric, row.prompt_digest): row.values for row in values}
    table = {(row.model, row.task, row.language, row.metric): row for row in scores}
    found = []
    for (model, task, language, metric), after in table.items():
        before = table.get((parents.get(model, ""), task, language, metric))
        if before is None or before.prompt_digest != after.prompt_digest:
            continue
        digest = after.prompt_digest
        pair = [each.get((name, task, language, metric, digest)) for name in (before.model, model)]
        change = _change(before, after, items.get((task, language, digest)), pair)
        if change is not None:
            found.append(change)
    return settled(found)


def _change(before: Score, after: Score, asked: Asked | None, pair: Sequence[list | None]) -> Change | None:
    sign = 1 if after.higher_is_better else -1
    gain, freedom, n = sign * (after.value - before.value), 0, min(before.n, after.n)
    both = asked is not None and None not in pair and len(pair[0]) == len(pair[1]) == len(asked.ids)
    if both:
        clusters = asked.clusters or [str(number) for number in range(len(asked.ids))]
        met = paired(*pair, clusters, asked.weights)
        if met is None:
            return None
        error, p_value, freedom, n = met.stderr, met.p_value, met.clusters - 1, met.n
    elif before.stderr is None or after.stderr is None:
        return None
    else:
        error = math.hypot(before.stderr, after.stderr)
        p_value = math.erfc(abs(gain) / error / math.sqrt(2)) if error else float(gain == 0)
    return Change(
        parent=before.model,
        child=after.model,
        task=after.task,
        language=after.language,
        metric=after.metric,
        before=before.value,
        after=after.value,
        gain=gain,
        stderr=error,
        p_value=p_value,
        freedom=freedom,
        n=n,
        paired=both,
    )


def settled(found: Sequence[Change], rate: float = FALSE_DISCOVERIES) -> list[Change]:
    """The changes with `sure` set by Benjamini and Hochberg's procedure within each step."""
    out = list(found)
    for child in dict.fromkeys(change.child for change in out):
        places = sorted((n for n, c in enumerate(out) if c.child == child), key=lambda n: out[n].p_value)
        count = len(places)
        passing = [rank for rank, n in enumerate(places, 1) if out[n].p_value <= rate * rank / count]
        for n in places[: max(passing, default=0)]:
            out[n] = replace(out[n], sure=out[n].gain != 0)
    return out
