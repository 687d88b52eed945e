"""What a mixture search found, on disk and in short: shares with intervals, predicted losses, and every run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..artifacts.mixture import write_mixture
from ..core.stage import Runtime
from .mixture_optimum import INTERVAL, Objective, Optimum
from .mixture_picture import draw
from .mixture_regression import rank_correlation

_TRUSTED_RANK = 0.7
"""Below this leave-one-out rank correlation the result is reported with a warning. Ours."""


def report(
    space: Any,
    targets: Mapping[str, float],
    shares_PK: np.ndarray,
    losses_PT: np.ndarray,
    objective: Objective,
    optimum: Optimum,
    runtime: Runtime,
) -> dict[str, Any]:
    """Write mixture.json and its picture, and return metrics."""
    values_P = losses_PT @ objective.weights_T
    loo_PT = np.exp(np.stack([fitted.loo_P for fitted in objective.fits], axis=1))
    gain = np.quantile(optimum.compared_R, [0.5, *INTERVAL])
    natural = float(objective.value(space.natural_K[None])[0])
    about = {
        "objective": {
            "predicted": _short(optimum.value),
            "in_proportion_to_tokens": _short(natural),
            "difference": dict(zip(("median", "low", "high"), map(_short, gain), strict=True)),
            "best_run": _short(values_P.min()),
        },
        "leave_one_out": {
            "rank_correlation": round(rank_correlation(loo_PT @ objective.weights_T, values_P), 4),
            "relative_error": _short(np.sqrt(np.mean((loo_PT / losses_PT - 1) ** 2))),
        },
        "targets": {
            name: {
                "weight": _short(weight),
                "predicted": _short(optimum.losses_T[t]),
                "best_run": _short(losses_PT[:, t].min()),
                "rank_correlation": round(rank_correlation(loo_PT[:, t], losses_PT[:, t]), 4),
            }
            for t, (name, weight) in enumerate(targets.items())
        },
        "interval": list(INTERVAL),
        "runs": [
            {
                "weights": dict(zip(space.keys, map(float, shares), strict=True)),
                "losses": dict(zip(targets, map(_short, losses), strict=True)),
                "objective": _short(value),
            }
            for shares, losses, value in zip(shares_PK, losses_PT, values_P, strict=True)
        ],
    }
    weights = _weights(space, optimum)
    write_mixture(runtime.out, weights, about)
    (runtime.out / "mixture.svg").write_text(draw(weights), encoding="utf-8")
    return _metrics(weights, about, runtime)


def _weights(space: Any, optimum: Optimum) -> dict[str, dict[str, float]]:
    """Shares to four decimals, with their intervals, limits and what tokens alone would give."""
    shares_K = np.round(optimum.shares_K, 4)
    return {
        key: {
            "share": float(shares_K[k]),
            "low": round(float(optimum.interval_2K[0, k]), 4),
            "high": round(float(optimum.interval_2K[1, k]), 4),
            "limit": round(float(space.region.high[k]), 4),
            "in_proportion_to_tokens": round(float(space.tokens_K[k] / space.tokens_K.sum()), 4),
        }
        for k, key in enumerate(space.keys)
    }


def _metrics(weights: Mapping[str, Any], about: Mapping[str, Any], runtime: Runtime) -> dict[str, Any]:
    rank = about["leave_one_out"]["rank_correlation"]
    difference = about["objective"]["difference"]
    if not rank >= _TRUSTED_RANK:
        runtime.log(f"the runs do not foretell each other well (rank correlation {rank}): train longer or run more")
    if difference["high"] >= 0:
        runtime.log("the gain on shares by tokens lies within the noise of the runs: train longer or run more")
    told = ", ".join(f"{key} {row['share']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" for key, row in weights.items())
    return {
        "proxies": len(about["runs"]),
        "weights": {key: row["share"] for key, row in weights.items()},
        "predicted_loss": about["objective"]["predicted"],
        "predicted_difference": difference,
        "loo_rank_correlation": rank,
        "loo_relative_error": about["leave_one_out"]["relative_error"],
        "text": f"{told}; loss {about['objective']['predicted']:.4f}, {difference['median']:+.4f} "
        f"[{difference['low']:+.4f}, {difference['high']:+.4f}] on shares by tokens; left-out runs ranked at "
        f"ρ = {rank}",
    }


def _short(value: float) -> float:
    """Seven digits: more would be noise of the last bits."""
    return float(f"{value:.7g}")
