"""Which points to try: the box of each method, and three ways to walk through it, all deterministic from a seed.

A point is a method with its weights and, where it has them, density and λ. Walks see the unit cube of one method.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...core.errors import RecipeError
from ...merge.methods import METHODS
from .stage import Params

_DIGITS = 4
_SPREAD = 0.25
"""CMA-ES' first standard deviation, in parts of a range: two of them reach from the middle to the ends."""
_ROUND = 16
"""Trials of a random search that are merged and examined side by side before the next are told of."""


@dataclass(frozen=True)
class Box:
    """The settings of one method: names (`weights.0`, …, `density`, `lambda_`) with their least and greatest values."""

    method: str
    ranges: dict[str, tuple[float, float]]

    @property
    def free(self) -> list[str]:
        """The settings that may vary."""
        return [name for name, (low, high) in self.ranges.items() if low < high]

    def point(self, place_D: Sequence[float]) -> dict[str, Any]:
        """The settings at a place in the unit cube of the free ones, to four decimals."""
        values = {name: low for name, (low, _) in self.ranges.items()}
        for name, part in zip(self.free, place_D, strict=True):
            low, high = self.ranges[name]
            values[name] = round(low + (high - low) * float(part), _DIGITS)
        weights = [value for name, value in values.items() if name.startswith("weights.")]
        rest = {name: value for name, value in values.items() if not name.startswith("weights.")}
        return {"method": self.method, "weights": weights, **rest}

    def place(self, point: dict[str, Any]) -> np.ndarray:
        """The inverse of `point`, held inside the cube."""
        flat = flat_settings(point)
        parts = []
        for name in self.free:
            low, high = self.ranges[name]
            parts.append((flat.get(name, (low + high) / 2) - low) / (high - low))
        return np.clip(np.array(parts), 0, 1)


def flat_settings(point: dict[str, Any]) -> dict[str, float]:
    """A point's numbers by the names that boxes use."""
    flat = {f"weights.{number}": weight for number, weight in enumerate(point["weights"])}
    return flat | {name: point[name] for name in ("density", "lambda_") if name in point}


def make_boxes(params: Params, models: int) -> list[Box]:
    """The box of every method."""
    weights = params.weights if len(params.weights) == models else params.weights * models
    boxes = []
    for name in dict.fromkeys(params.methods):
        knobs = METHODS.load(name).knobs
        ranges = {f"weights.{number}": limits for number, limits in enumerate(weights)}
        ranges |= {knob: getattr(params, knob) for knob in ("density", "lambda_") if knob in knobs}
        boxes.append(Box(name, ranges))
    return boxes


class Walk(Protocol):
    """Proposes places of one box in rounds; () when its budget is spent. Losses are told in the order asked."""

    def ask(self) -> list[np.ndarray]: ...

    def tell(self, places: list[np.ndarray], losses: list[float]) -> None: ...


class Listed:
    """Places known beforehand, a round at a time: random ones, or a grid."""

    def __init__(self, places: Sequence[np.ndarray]) -> None:
        self._left = list(places)

    def ask(self) -> list[np.ndarray]:
        now, self._left = self._left[:_ROUND], self._left[_ROUND:]
        return now

    def tell(self, places: list[np.ndarray], losses: list[float]) -> None:
        pass


class Evolution:
    """CMA-ES (Hansen, arXiv:1604.00772) through the package `cmaes`; the last generation may be cut short."""

    def __init__(self, start_D: np.ndarray, budget: int, seed: int) -> None:
        from cmaes import CMA

        limits = np.tile([0.0, 1.0], (len(start_D), 1))
        self._cma, self._left = CMA(mean=start_D, sigma=_SPREAD, bounds=limits, seed=seed), budget

    def ask(self) -> list[np.ndarray]:
        count = min(self._cma.population_size, self._left)
        self._left -= count
        return [self._cma.ask() for _ in range(count)]

    def tell(self, places: list[np.ndarray], losses: list[float]) -> None:
        if len(places) == self._cma.population_size:
            self._cma.tell(list(zip(places, losses, strict=True)))


def make_walk(params: Params, box: Box, budget: int, number: int) -> Walk:
    """A walk through one box of at most `budget` places; `number` sets its random numbers apart from other boxes'."""
    count = len(box.free)
    if count == 0:
        return Listed([np.empty(0)])
    if params.how == "grid":
        return Listed(_grid(count, budget))
    rng = np.random.default_rng([params.seed, number])
    if params.how == "random":
        return Listed([np.full(count, 0.5), *rng.random((max(budget - 1, 0), count))][:budget])
    starts = [point for point in params.start if point.get("method") == box.method]
    start_D = box.place(starts[0]) if starts else np.full(count, 0.5)
    if count == 1:  # CMA-ES needs two; a line is cheaper to look at evenly
        return Listed(_grid(1, budget))
    try:
        return Evolution(start_D, budget, int(rng.integers(1 << 31)))
    except ImportError:
        raise RecipeError(
            "cma_es needs the package cmaes",
            where="merge.search",
            how="Install `sampan[search]`, or take `how: random` or `how: grid`.",
        ) from None


def _grid(count: int, budget: int) -> list[np.ndarray]:
    """All places in equal steps, both ends among them, as many as the budget allows."""
    steps = math.floor(budget ** (1 / count) + 1e-9)
    if steps < 2:
        raise RecipeError(
            f"a grid over {count} settings needs at least {2**count} trials a method, not {budget}",
            where="merge.search",
            how="Raise num_trials, fix some ranges, or take `how: random`.",
        )
    axis = np.linspace(0, 1, steps)
    return [np.array(place) for place in itertools.product(axis, repeat=count)]
