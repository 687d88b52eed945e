"""Numbers over texts and over languages: a ratio with its error, tokenizer parity, and the Gini coefficient."""

from __future__ import annotations

import math
from collections.abc import Sequence


def ratio(part: float, whole: float) -> float:
    """`part / whole` to six digits, 0 where there is nothing to divide by."""
    return round(part / whole, 6) if whole else 0.0


def ratio_error(parts: Sequence[float], wholes: Sequence[float]) -> float | None:
    """The standard error of sum(parts) / sum(wholes) over independent texts, by linearisation (Cochran, Sampling
    Techniques, 1977, §6.3); None for fewer than two texts."""
    number, total = len(parts), sum(wholes)
    if number < 2 or not total:
        return None
    value = sum(parts) / total
    spread = sum((part - value * whole) ** 2 for part, whole in zip(parts, wholes, strict=True)) / (number - 1)
    return round(math.sqrt(spread * number) / total, 6)


def gini(values: Sequence[float]) -> float:
    """Gini coefficient of what languages pay for the same text: 0 if all pay the same, towards 1 if one pays all.

    G = sum_i sum_j |x_i - x_j| / (2 n^2 mean(x)), computed from the sorted values x_1 <= … <= x_n as
    G = sum_i (2 i - n - 1) x_i / (n sum(x)).
    """
    total = sum(values)
    if not total:
        return 0.0
    ordered = sorted(values)
    number = len(ordered)
    weighed = sum((2 * place - number - 1) * value for place, value in enumerate(ordered, 1))
    return round(weighed / (number * total), 6)


def geometric_mean(values: Sequence[float]) -> float:
    """exp of the mean logarithm of positive values, 0 without any."""
    return round(math.exp(sum(map(math.log, values)) / len(values)), 6) if values else 0.0
