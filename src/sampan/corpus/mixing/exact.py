"""Dividing an amount exactly: rational shares, limits that push the rest elsewhere, whole numbers in the end."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import floor


def exact(value: float) -> Fraction:
    """The number as it is written: 0.1 is a tenth, not the binary fraction next to it."""
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


def sharpened(weight: float, size: int, alpha: float) -> Fraction:
    """weight · size^α: α = 1 goes by size, 0 by weight alone, between them is temperature sampling (T = 1/α).

    Source: mT5 (arXiv:2010.11934) §3.2 and XLM-R (arXiv:1911.02116) §3.1, both with α = 0.3. Other exponents than 0 and
    1 give irrational numbers, of which the nearest float is taken.
    """
    if not size:
        return Fraction(0)
    power = Fraction(size) if alpha == 1 else Fraction(1) if alpha == 0 else Fraction(size**alpha)
    return exact(weight) * power


def fill(amount: Fraction, weights: Mapping[str, Fraction], limits: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Divide `amount` by `weights`; what would go over a limit goes to the others, again by their weights.

    With equal weights this is UniMax (Chung et al., arXiv:2304.09151, algorithm 1). The parts sum to `amount`, or to
    all limits of what has a weight if these are less.
    """
    parts = dict.fromkeys(weights, Fraction(0))
    open_names = {name for name, weight in weights.items() if weight > 0}
    left = amount
    while open_names:
        total = sum(weights[name] for name in open_names)
        full = {name for name in open_names if left * weights[name] >= limits[name] * total}
        if not full:
            return parts | {name: left * weights[name] / total for name in open_names}
        for name in full:
            parts[name] = limits[name]
        left -= sum(limits[name] for name in full)
        open_names -= full
    return parts


def whole(parts: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Whole numbers that sum to `total`, each less than 1 from its part (the method of the largest remainder).

    `parts` sum to `total`. Of equal remainders the first name in order gets the unit.
    """
    floors = {name: floor(part) for name, part in parts.items()}
    spare = total - sum(floors.values())
    order = sorted(parts, key=lambda name: (floors[name] - parts[name], name))
    return {name: floors[name] + (name in set(order[:spare])) for name in parts}
