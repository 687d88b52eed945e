"""Where the predicted loss is lowest among the mixtures that are allowed, and how sure that is.

Shapes: K shares of a mixture, Q mixtures, T target losses, R redrawn fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .mixture_regression import Ensemble

_CANDIDATES = 4096
_STARTS = 8
_STEPS = (0.1, 0.03, 0.01, 0.003, 0.001)
_MOVES = 200
"""Most moves of one size from one start."""
INTERVAL = (0.05, 0.95)


@dataclass(frozen=True)
class Region:
    """The mixtures that are allowed: shares between `low` and `high` [K] that sum to 1."""

    low: np.ndarray
    high: np.ndarray

    def nearest(self, shares_QK: np.ndarray) -> np.ndarray:
        """The allowed mixtures nearest to given points: clip(x - τ, low, high) with the τ that makes the sum 1."""
        shares = np.asarray(shares_QK, float)
        least = (shares - self.high).min(-1, keepdims=True)
        most = (shares - self.low).max(-1, keepdims=True)
        for _ in range(80):
            middle = (least + most) / 2
            over = np.clip(shares - middle, self.low, self.high).sum(-1, keepdims=True) > 1
            least, most = np.where(over, middle, least), np.where(over, most, middle)
        return np.clip(shares - (least + most) / 2, self.low, self.high)


def sample(
    prior_K: np.ndarray, region: Region, count: int, *, strengths: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Mixtures [count, K] around a prior: Dirichlet(prior · K · s), s spread evenly in its logarithm.

    Small strengths give lopsided mixtures and large ones mixtures near the prior, as in RegMix (arXiv:2407.01492 §3.1).
    """
    scale = np.exp(rng.uniform(*np.log(strengths), count))
    # a gamma variable of tiny shape can be 0 in all places; the prior then stands for it
    drawn = rng.gamma(prior_K * len(prior_K) * scale[:, None]) + 1e-12 * prior_K
    return region.nearest(drawn / drawn.sum(1, keepdims=True))


@dataclass(frozen=True)
class Objective:
    """The weighted mean of target losses, as regressions predict it."""

    fits: Sequence[Ensemble]
    weights_T: np.ndarray

    def losses(self, shares_QK: np.ndarray) -> np.ndarray:
        """Each target's loss [Q, T]."""
        return np.concatenate([fit.predict(shares_QK) for fit in self.fits], axis=1)

    def value(self, shares_QK: np.ndarray) -> np.ndarray:
        """The objective [Q]."""
        return self.losses(shares_QK) @ self.weights_T

    def redrawn(self, shares_QK: np.ndarray, picks_PR: np.ndarray) -> np.ndarray:
        """The objective [Q, R] under fits to redrawn losses; one draw picks the same proxies for every target."""
        parts = (
            w * fit.predict(shares_QK, fit.redraw(picks_PR)) for w, fit in zip(self.weights_T, self.fits, strict=True)
        )
        return sum(parts)


def lowest(objective: Objective, region: Region, candidates_QK: np.ndarray) -> np.ndarray:
    """The allowed mixture [K] of the lowest predicted objective: from the best candidates, by moving share from one
    member to another as long as that helps, in ever smaller steps."""
    values = objective.value(candidates_QK)
    best, best_value = None, np.inf
    for start in candidates_QK[np.argsort(values, kind="stable")[:_STARTS]]:
        point, value = _descend(objective, region, start)
        if value < best_value:
            best, best_value = point, value
    return best


def _descend(objective: Objective, region: Region, point_K: np.ndarray) -> tuple[np.ndarray, float]:
    count = len(point_K)
    moves = (np.eye(count)[:, None] - np.eye(count)[None]).reshape(-1, count)[~np.eye(count, dtype=bool).reshape(-1)]
    value = float(objective.value(point_K[None])[0])
    for step in _STEPS if count > 1 else ():
        for _ in range(_MOVES):
            around = region.nearest(point_K + step * moves)
            values = objective.value(around)
            if not values.min() < value - 1e-12:
                break
            point_K, value = around[values.argmin()], float(values.min())
    return point_K, value


@dataclass(frozen=True)
class Optimum:
    """The best mixture and its losses, with the interval INTERVAL of each from redrawn fits."""

    shares_K: np.ndarray
    interval_2K: np.ndarray
    value: float
    losses_T: np.ndarray
    compared_R: np.ndarray
    """Objective of the optimum less that of the mixture it is compared with, for each redrawn fit."""


def find_optimum(
    objective: Objective,
    region: Region,
    prior_K: np.ndarray,
    against_K: np.ndarray,
    *,
    strengths: tuple[float, float],
    redraws: int,
    rng: np.random.Generator,
) -> Optimum:
    """The optimum, how far it moves when the proxies' noise is drawn again, and what it gains on `against_K`.

    A redrawn fit's optimum is taken from a pool: candidates from everywhere, and a cloud around the optimum at every
    scale.
    """
    everywhere = sample(prior_K, region, _CANDIDATES, strengths=strengths, rng=rng)
    observed = region.nearest(objective.fits[0].shares_PK)
    best = lowest(objective, region, np.concatenate([everywhere, observed]))
    scales = np.exp(rng.uniform(np.log(0.003), np.log(0.3), (_CANDIDATES, 1)))
    cloud = region.nearest(best + scales * rng.normal(size=(_CANDIDATES, len(best))) / np.sqrt(len(best)))
    pool = np.concatenate([best[None], cloud, everywhere])
    count = len(objective.fits[0].log_P)
    picks = rng.integers(0, count, (count, redraws))
    values = objective.redrawn(pool, picks)
    winners = pool[values.argmin(0)]
    interval = np.quantile(winners, INTERVAL, axis=0) if redraws else np.stack([best, best])
    interval = np.stack([np.minimum(interval[0], best), np.maximum(interval[1], best)])
    compared = values[0] - objective.redrawn(against_K[None], picks)[0]
    return Optimum(best, interval, float(objective.value(best[None])[0]), objective.losses(best[None])[0], compared)
