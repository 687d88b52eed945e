"""Loss as a function of the mixture, learnt from few runs: two regressions that check themselves, and their mean.

Both are linear in the observed losses once a few settings are chosen, so that leaving one run out, and drawing the
losses again for an interval, cost a matrix product and no new fit. Shapes: P proxies, K shares of a mixture, Q mixtures
asked about, F features, R redrawn losses.

Source: RegMix (arXiv:2407.01492) for the idea; a quadratic ridge in logarithms and a Gaussian process stand for its
gradient-boosted trees, because they need a quarter of the runs (docs/why/mixture.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

EPSILON = 1e-3
"""Added to a share before its logarithm, so that a language may be left out."""
_PENALTIES = np.logspace(-6, 4, 41)
_GP_STEPS = 120
_SMALLEST_NOISE = 1e-3
"""Least standard deviation of the noise, in standard deviations of the losses: keeps the kernel's matrix invertible."""


class Smoother(Protocol):
    """A regression whose prediction is basis(x) · solve(losses)."""

    loo_P: np.ndarray
    """The prediction for every observed mixture from all others."""

    def basis(self, shares_QK: np.ndarray) -> np.ndarray:
        """Features [Q, F] of mixtures."""
        ...

    def solve(self, losses_PR: np.ndarray) -> np.ndarray:
        """Coefficients [F, R] for each column of losses."""
        ...


class Ridge:
    """A quadratic polynomial in log(share + ε), with the penalty that predicts left-out runs best.

    The leave-one-out error is closed: the residual over 1 - h, h the diagonal of the hat matrix.
    """

    def __init__(self, shares_PK: np.ndarray, loss_P: np.ndarray) -> None:
        self._seen = shares_PK.min(0), shares_PK.max(0)
        raw = _quadratic(shares_PK)
        self._mean, self._scale = raw.mean(0), raw.std(0)
        self._scale[self._scale < 1e-9] = np.inf  # a share that never changes says nothing
        left, values, right = np.linalg.svd((raw - self._mean) / self._scale, full_matrices=False)
        self._left, self._values, self._right = left, values, right
        best = None
        for penalty in _PENALTIES:
            kept = values**2 / (values**2 + penalty)
            hat = (left**2 * kept).sum(1) + 1 / len(loss_P)
            fitted = loss_P.mean() + left @ (kept * (left.T @ (loss_P - loss_P.mean())))
            residual = (loss_P - fitted) / np.maximum(1 - hat, 1e-6)
            if best is None or residual @ residual < best[0]:
                best = residual @ residual, penalty, residual
        _, self._penalty, residual = best
        self.loo_P = loss_P - residual

    def basis(self, shares_QK: np.ndarray) -> np.ndarray:
        # a logarithm runs away below the smallest share that was tried
        features = (_quadratic(np.clip(shares_QK, *self._seen)) - self._mean) / self._scale
        return np.concatenate([features, np.ones((len(features), 1))], axis=1)

    def solve(self, losses_PR: np.ndarray) -> np.ndarray:
        mean_R = losses_PR.mean(0)
        damped = self._values / (self._values**2 + self._penalty)
        slopes = self._right.T @ (damped[:, None] * (self._left.T @ (losses_PR - mean_R)))
        return np.concatenate([slopes, mean_R[None]])


class Process:
    """A Gaussian process with a squared-exponential kernel, a length for every share, and noise.

    Lengths and variances maximise the marginal likelihood (Rasmussen and Williams 2006, eqs. 2.30, 5.9), the
    leave-one-out predictions are theirs (eq. 5.12).
    """

    def __init__(self, shares_PK: np.ndarray, loss_P: np.ndarray) -> None:
        self._scale = shares_PK.std(0)
        self._scale[self._scale < 1e-9] = np.inf
        self._points = shares_PK / self._scale
        spread = loss_P.std() or 1.0
        scaled = (loss_P - loss_P.mean()) / spread
        self._settings = _most_likely(self._points, scaled)
        inverse = np.linalg.inv(
            _kernel(self._points, self._points, self._settings) + _noise(self._settings, len(scaled))
        )
        self._inverse = inverse
        self.loo_P = loss_P.mean() + spread * (scaled - (inverse @ scaled) / np.diag(inverse))

    def basis(self, shares_QK: np.ndarray) -> np.ndarray:
        near = _kernel(shares_QK / self._scale, self._points, self._settings)
        return np.concatenate([near, np.ones((len(near), 1))], axis=1)

    def solve(self, losses_PR: np.ndarray) -> np.ndarray:
        mean_R = losses_PR.mean(0)
        return np.concatenate([self._inverse @ (losses_PR - mean_R), mean_R[None]])


@dataclass(frozen=True)
class Ensemble:
    """The weighted mean of smoothers of the logarithm of one loss, each by the inverse of its leave-one-out error."""

    shares_PK: np.ndarray
    smoothers: Sequence[Smoother]
    weights: np.ndarray
    log_P: np.ndarray
    """Logarithms of the observed losses."""
    loo_P: np.ndarray
    """Their leave-one-out predictions."""

    def predict(self, shares_QK: np.ndarray, log_PR: np.ndarray | None = None) -> np.ndarray:
        """Losses [Q, R] of mixtures, for each column of observed logarithms (the observed ones alone if None)."""
        observed = self.log_P[:, None] if log_PR is None else log_PR
        parts = (
            w * (s.basis(shares_QK) @ s.solve(observed)) for w, s in zip(self.weights, self.smoothers, strict=True)
        )
        return np.exp(sum(parts))

    def redraw(self, picks_PR: np.ndarray) -> np.ndarray:
        """Logarithms [P, R] as they might have been observed: fitted ones plus the residuals of the runs `picks_PR`.

        Residuals are e / √(1 - h), of one spread whatever the leverage h (Davison and Hinkley 1997, eq. 6.9); with the
        leave-one-out residual e / (1 - h) that is the root of the product of the two.
        """
        fitted = np.log(self.predict(self.shares_PK)[:, 0])
        left_out = self.log_P - self.loo_P
        residual = np.sign(left_out) * np.sqrt(np.abs(left_out * (self.log_P - fitted)))
        return fitted[:, None] + (residual - residual.mean())[picks_PR]


def fit(shares_PK: np.ndarray, loss_P: np.ndarray) -> Ensemble:
    """Learn one loss (positive) from proxies."""
    log_P = np.log(loss_P)
    smoothers = (Ridge(shares_PK, log_P), Process(shares_PK, log_P))
    errors = np.array([np.mean((log_P - smoother.loo_P) ** 2) for smoother in smoothers])
    weights = 1 / np.maximum(errors, 1e-12)
    weights /= weights.sum()
    loo_P = sum(weight * smoother.loo_P for weight, smoother in zip(weights, smoothers, strict=True))
    return Ensemble(shares_PK, smoothers, weights, log_P, loo_P)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's ρ; equal values share their mean rank. 0 where one of them does not vary."""
    ranks = [_ranks(values) for values in (first, second)]
    spread = ranks[0].std() * ranks[1].std()
    return float(((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())).mean() / spread) if spread else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, number, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[number]


def _quadratic(shares_QK: np.ndarray) -> np.ndarray:
    """log(share + ε), and their squares and products [Q, K + K(K + 1)/2]."""
    logs = np.log(shares_QK + EPSILON)
    first, second = np.triu_indices(logs.shape[1])
    return np.concatenate([logs, logs[:, first] * logs[:, second]], axis=1)


def _kernel(a_QK: np.ndarray, b_PK: np.ndarray, settings: np.ndarray) -> np.ndarray:
    """Covariances [Q, P]; `settings` are the logarithms of K lengths, of the signal's deviation and of the noise's."""
    a, b = a_QK / np.exp(settings[:-2]), b_PK / np.exp(settings[:-2])
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.exp(2 * settings[-2] - np.maximum(squared, 0) / 2)


def _noise(settings: np.ndarray, count: int) -> np.ndarray:
    return (np.exp(2 * settings[-1]) + _SMALLEST_NOISE**2) * np.eye(count)


def _most_likely(points_PK: np.ndarray, loss_P: np.ndarray) -> np.ndarray:
    """Settings that maximise the marginal likelihood, by steps that grow while a gradient keeps its sign (Rprop)."""
    count = points_PK.shape[1]
    settings = np.concatenate([np.full(count, np.log(2 * np.sqrt(count))), [0.0, np.log(0.1)]])
    low = np.concatenate([np.full(count, -2.0), [-3.0, np.log(_SMALLEST_NOISE)]])
    high = np.concatenate([np.full(count, 7.0), [4.0, 1.0]])
    steps, before = np.full(count + 2, 0.1), np.zeros(count + 2)
    best, best_value = settings, -np.inf
    for _ in range(_GP_STEPS):
        value, slope = _likelihood(points_PK, loss_P, settings)
        if value > best_value:
            best, best_value = settings, value
        turn = np.sign(slope) * np.sign(before)
        steps = np.clip(np.where(turn > 0, steps * 1.2, np.where(turn < 0, steps * 0.5, steps)), 1e-4, 0.5)
        settings = np.clip(settings + np.sign(slope) * steps, low, high)
        before = slope
    return best


def _likelihood(points_PK: np.ndarray, loss_P: np.ndarray, settings: np.ndarray) -> tuple[float, np.ndarray]:
    """Log marginal likelihood without its constant, and its gradient."""
    kernel = _kernel(points_PK, points_PK, settings)
    whole = kernel + _noise(settings, len(loss_P))
    inverse = np.linalg.inv(whole)
    solved = inverse @ loss_P
    value = -(loss_P @ solved + np.linalg.slogdet(whole)[1]) / 2
    pull = np.outer(solved, solved) - inverse
    weighted = pull * kernel
    scaled = points_PK / np.exp(settings[:-2])
    # Σ_ij w_ij (x_i - x_j)² / 2 for every share, without the K distance matrices
    lengths = (weighted.sum(1) @ scaled**2) - np.einsum("ik,ij,jk->k", scaled, weighted, scaled, optimize=True)
    noise = np.trace(pull) * np.exp(2 * settings[-1])
    return value, np.concatenate([lengths, [weighted.sum(), noise]])
