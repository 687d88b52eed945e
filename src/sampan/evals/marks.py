"""Marks: a metric's value with its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """One number about one group of questions; `stderr` is None where one item cannot tell."""

    metric: str
    value: float
    stderr: float | None
    n: int
    higher_is_better: bool = True


def share(metric: str, right: Sequence[bool]) -> Mark:
    """Share of right items; standard error sqrt(p·(1-p)/(n-1)), the sample's, as lm-evaluation-harness reports it."""
    count = len(right)
    value = sum(right) / count
    return Mark(metric, value, math.sqrt(value * (1 - value) / (count - 1)) if count > 1 else None, count)
