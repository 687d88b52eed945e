"""Two models compared over groups of languages: the mean of a test's differences, or of several tests', and how sure
that is.

A mean counts each of its languages alike, and each of its tests in each language. Where the values of each item are
kept, both models are compared item by item (`statistics.paired_mean`); where they are not, as independent figures,
which overstates the error.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..artifacts.item_values import Asked, ItemValues
from ..artifacts.scores import Score
from .statistics import paired_mean

_NORMAL_95 = 1.959964
"""The normal distribution's 97.5 % quantile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A child against its parent in one test, or in the mean of several, over the languages of one group. `delta` is
    the child's score minus the parent's; `low` and `high` bound it with 95 % confidence."""

    parent: str
    child: str
    task: str
    metric: str
    group: str
    languages: tuple[str, ...]
    before: float
    after: float
    delta: float
    stderr: float
    low: float
    high: float
    higher_is_better: bool
    n: int
    paired: bool

    @property
    def told(self) -> bool:
        """Whether there is a difference that can be told: the interval does not hold zero."""
        return self.low > 0 or self.high < 0

    @property
    def better(self) -> bool:
        return self.delta != 0 and (self.delta > 0) == self.higher_is_better


Test = tuple[str, str]
"""A task and one of its metrics."""


def gaps(
    scores: Iterable[Score],
    asked: Iterable[Asked],
    values: Iterable[ItemValues],
    parents: Mapping[str, str],
    groups: Mapping[str, Collection[str]],
    means: Mapping[str, Sequence[Test]] | None = None,
) -> list[Gap]:
    """Every model in `parents` ({child: parent}) against its parent, for each test and each of `groups` ({name:
    languages}), over the languages in which both were asked the same items. A group without one has no entry.

    `means` ({name: tests with one unit and direction}): for each of these means of tests instead of for each test;
    its name stands in `Gap.task`.
    """
    table = {(row.model, row.task, row.metric, row.language): row for row in scores}
    items = {(row.task, row.language, row.prompt_digest): row for row in asked}
    each = {(row.model, row.task, row.metric, row.language, row.prompt_digest): row.values for row in values}
    found = []
    for child, parent in parents.items():
        own = dict.fromkeys((row.task, row.metric) for row in table.values() if row.model == child)
        for name, tests in _named(means, own):
            for group, languages in groups.items():
                places = [(*test, code) for test in tests for code in languages]
                pairs = [(table.get((parent, *place)), table.get((child, *place))) for place in places]
                both = [(a, b) for a, b in pairs if a and b and a.prompt_digest == b.prompt_digest]
                gap = _gap(both, name, group, items, each) if both else None
                found += [gap] if gap else []
    return found


def _named(means: Mapping[str, Sequence[Test]] | None, own: Iterable[Test]) -> list[tuple[Test, Sequence[Test]]]:
    """What to compare, under (task, metric): the means that were asked for, or each test of the child's own."""
    return [(test, [test]) for test in own] if means is None else [((name, ""), means[name]) for name in means]


def _gap(both: list[tuple[Score, Score]], name: Test, group: str, items: Mapping, each: Mapping) -> Gap | None:
    first, count = both[0][1], len(both)
    if any(after.higher_is_better != first.higher_is_better for _, after in both):
        raise ValueError(f"the tests of '{name[0]}' have two directions")
    parts = [_part(before, after, items, each) for before, after in both]
    if all(parts):
        met = paired_mean(parts)
        if met is None:
            return None
        delta, error, low, high, n = met.delta, met.stderr, met.low, met.high, met.n
    else:
        errors = [score.stderr for pair in both for score in pair]
        if None in errors:
            return None
        delta = math.fsum(after.value - before.value for before, after in both) / count
        error, n = math.hypot(*errors) / count, sum(min(before.n, after.n) for before, after in both)
        low, high = delta - _NORMAL_95 * error, delta + _NORMAL_95 * error
    return Gap(
        parent=both[0][0].model,
        child=first.model,
        task=name[0],
        metric=name[1],
        group=group,
        languages=tuple(dict.fromkeys(after.language for _, after in both)),
        before=math.fsum(before.value for before, _ in both) / count,
        after=math.fsum(after.value for _, after in both) / count,
        delta=delta,
        stderr=error,
        low=low,
        high=high,
        higher_is_better=first.higher_is_better,
        n=n,
        paired=all(parts),
    )


def _part(before: Score, after: Score, items: Mapping, each: Mapping) -> tuple | None:
    """The items of one language for `paired_mean`; None where they are not kept."""
    digest = after.prompt_digest
    asked = items.get((after.task, after.language, digest))
    pair = [each.get((row.model, row.task, row.metric, row.language, digest)) for row in (before, after)]
    if asked is None or None in pair or not len(pair[0]) == len(pair[1]) == len(asked.ids):
        return None
    return (*pair, asked.clusters or asked.ids, asked.weights)
