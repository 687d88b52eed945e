"""Marks: a metric's value with its standard error, and what each item gave, so that checkpoints compare in pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .statistics import clustered_error, jackknife


@dataclass(frozen=True, slots=True)
class Mark:
    """One number about one group of questions; `stderr` is None where one item cannot tell.

    `values` holds what each item gave, in the items' order, None where it gave nothing: their mean, weighted by
    `weights` if there are any, is `value` (for a figure that is no mean, they are the jackknife's pseudo-values, and
    their mean is `value` less its bias).
    """

    metric: str
    value: float
    stderr: float | None
    n: int
    higher_is_better: bool = True
    values: tuple[float | None, ...] = ()
    weights: tuple[float, ...] = ()
    alone: tuple[float, ...] = ()
    """For a figure of summed counts: what each item would get by itself."""

    def of_item(self, n: int) -> float | None:
        """The figure of one item."""
        return self.alone[n] if self.alone else self.values[n]


def share(metric: str, right: Sequence[bool], clusters: Sequence[str] = (), *, higher_is_better: bool = True) -> Mark:
    """Share of right items; standard error sqrt(p·(1-p)/(n-1)), the sample's, as lm-evaluation-harness reports it.

    With `clusters` (the passage that each item asks about) the error allows for items of one passage going together.
    """
    count = len(right)
    value = sum(right) / count
    error = math.sqrt(value * (1 - value) / (count - 1)) if count > 1 else None
    if len(set(clusters)) < len(clusters):
        error = clustered_error(right, clusters)
    return Mark(metric, value, error, count, higher_is_better, tuple(map(float, right)))


def mean(metric: str, values: Sequence[float], clusters: Sequence[str] = (), *, higher_is_better: bool = True) -> Mark:
    """Mean of numbers, with the standard error of the mean, clustered as in `share`."""
    error = clustered_error(values, clusters or list(map(str, range(len(values)))))
    return Mark(metric, math.fsum(values) / len(values), error, len(values), higher_is_better, tuple(values))


def of_sums(
    metric: str,
    rows: Sequence[Sequence[float]],
    figure: Callable[[Sequence[float]], float],
    clusters: Sequence[str] = (),
    *,
    higher_is_better: bool = True,
) -> Mark:
    """A figure of summed counts (chrF, an F1): its error is the jackknife's, over clusters if items share them."""
    value, pseudo = jackknife(rows, figure)
    error = clustered_error(pseudo, clusters or list(map(str, range(len(pseudo)))))
    alone = tuple(figure(row) for row in rows)
    return Mark(metric, value, error, len(rows), higher_is_better, tuple(pseudo), alone=alone)
