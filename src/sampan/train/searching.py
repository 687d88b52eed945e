"""The work of train.mixture_search: which mixtures to try, the runs, and what their losses say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..artifacts.mixture import write_mixture
from ..core.errors import RecipeError, StageError, did_you_mean
from ..core.params import all_values
from ..core.stage import Inputs, Runtime
from .causal_lm import open_shards, open_streams
from .mixture import MIN_TOKENS_PER_STEP, matches
from .mixture_optimum import INTERVAL, Objective, Optimum, Region, find_optimum, sample
from .mixture_picture import draw
from .mixture_regression import fit, rank_correlation
from .proxies import STATE

_TRUSTED_RANK = 0.7
"""Below this leave-one-out rank correlation the result is reported with a warning. Ours."""


@dataclass(frozen=True)
class Space:
    """What is searched: keys and their tokens [K], the region, the shares that samples lie around, the smallest share
    that a step can show [K]."""

    keys: list[str]
    tokens_K: np.ndarray
    region: Region
    prior_K: np.ndarray
    visible_K: np.ndarray

    @property
    def natural_K(self) -> np.ndarray:
        """Shares in proportion to tokens, as near as the region allows."""
        return self.region.nearest(self.tokens_K / self.tokens_K.sum())


def search(params: Any, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write the mixture and return metrics; RecipeError before any run if names or limits cannot be."""
    streams = open_streams(open_shards(inputs), seed=params.seed)
    space = make_space(params, {stream.name: stream.tokens for stream in streams})
    held_out = open_streams(open_shards(Inputs({"tokens": inputs.many("held_out")})), seed=0)
    targets = target_weights(params.targets, [stream.name for stream in held_out])
    _check_inputs(params, inputs, runtime)
    rng = np.random.default_rng(params.seed)
    shares_PK = proposals(params, space, rng)
    losses_PT = _run_proxies(params, inputs, runtime, space, shares_PK, list(targets))
    if not np.isfinite(losses_PT).all():
        raise StageError("a run's held-out loss is not a number", how="Lower lr, or give it more tokens.")
    weights_T = np.array(list(targets.values()))
    objective = Objective([fit(shares_PK, losses_P) for losses_P in losses_PT.T], weights_T)
    optimum = find_optimum(
        objective,
        space.region,
        space.prior_K,
        space.natural_K,
        strengths=(params.min_strength, params.max_strength),
        redraws=params.redraws,
        rng=rng,
    )
    return _report(space, targets, shares_PK, losses_PT, objective, optimum, runtime)


def make_space(params: Any, tokens: Mapping[str, int]) -> Space:
    """The search space over streams of so many tokens; RecipeError for unknown keys or limits that leave nothing."""
    keys = list(params.streams) or list(tokens)
    owner: dict[str, str] = {}
    for key in keys:
        found = [name for name in tokens if matches(key, name)]
        if not found:
            known = {*tokens, *(name.partition("/")[2] for name in tokens)}
            raise RecipeError(f"no stream '{key}' in the tokens", where="streams", how=did_you_mean(key, known))
        for name in found:
            if name in owner:
                raise RecipeError(f"stream {name} is in both '{owner[name]}' and '{key}'", where="streams")
            owner[name] = key
    groups = [[tokens[name] for name in tokens if owner.get(name) == key] for key in keys]
    tokens_K = np.array([sum(group) for group in groups], float)
    # the smallest stream behind a key gets its part of the key's share, which a step must be able to show
    visible_K = np.array([MIN_TOKENS_PER_STEP * sum(g) / min(g) / params.global_batch_tokens for g in groups])
    low, high = np.zeros(len(keys)), np.ones(len(keys))
    if params.budget:
        high = np.minimum(high, tokens_K * params.max_epochs / params.budget)
    for name, limits, pick in (("min_shares", low, np.maximum), ("max_shares", high, np.minimum)):
        for key, share in getattr(params, name).items():
            if key not in keys:
                raise RecipeError(f"'{key}' is not searched", where=name, how=did_you_mean(key, keys))
            limits[keys.index(key)] = pick(limits[keys.index(key)], share)
    _check_limits(keys, low, high)
    prior_K = tokens_K**params.alpha / (tokens_K**params.alpha).sum()
    return Space(keys, tokens_K, Region(low, high), prior_K, visible_K)


def _check_limits(keys: Sequence[str], low: np.ndarray, high: np.ndarray) -> None:
    for key, least, most in zip(keys, low, high, strict=True):
        if not 0 <= least <= most:
            raise RecipeError(
                f"'{key}' must have a share of at least {least:g} and at most {most:g}",
                where="min_shares",
                how="Lower its floor, or look at max_shares, budget and max_epochs.",
            )
    if low.sum() > 1 or high.sum() < 1:
        raise RecipeError(
            f"the shares sum to between {low.sum():.4g} and {high.sum():.4g}, so never to 1",
            where="min_shares" if low.sum() > 1 else "max_shares",
            how="Loosen them; with a budget, a stream's share is at most its tokens × max_epochs / budget.",
        )


def target_weights(given: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """Weights of the held-out streams, summing to 1; streams without weight are left out."""
    weights = dict.fromkeys(names, 0.0)
    for key, weight in (given or dict.fromkeys(names, 1.0)).items():
        found = [name for name in names if matches(key, name)]
        if not found:
            known = {*names, *(name.partition("/")[2] for name in names)}
            raise RecipeError(f"no held-out stream '{key}'", where="targets", how=did_you_mean(key, known))
        for name in found:
            weights[name] += weight / len(found)
    total = sum(weights.values())
    if not total > 0:
        raise RecipeError("every target has weight 0", where="targets")
    return {name: weight / total for name, weight in weights.items() if weight}


def proposals(params: Any, space: Space, rng: np.random.Generator) -> np.ndarray:
    """The mixtures to try [P, K]: in proportion to tokens, the prior, and samples. Shares too small to show are 0."""
    drawn = sample(
        space.prior_K,
        space.region,
        params.num_proxies - 2,
        strengths=(params.min_strength, params.max_strength),
        rng=rng,
    )
    shares = np.concatenate([space.natural_K[None], space.region.nearest(space.prior_K[None]), drawn])
    shares = np.where(shares < 1.01 * space.visible_K, 0, shares)
    return np.round(shares / shares.sum(1, keepdims=True), 6)


def _check_inputs(params: Any, inputs: Inputs, runtime: Runtime) -> None:
    """What every run would stumble over, said once."""
    from .checks import check_vocabulary
    from .loop import open_model

    source = inputs.one("model")
    model = open_model(source, params, runtime)
    for artifact in (*inputs.many("tokens"), *inputs.many("held_out")):
        check_vocabulary(model, source, artifact, open_shards(Inputs({"tokens": [artifact]}))[0])


def _run_proxies(
    params: Any, inputs: Inputs, runtime: Runtime, space: Space, shares_PK: np.ndarray, targets: Sequence[str]
) -> np.ndarray:
    """Held-out losses [P, T]."""
    jobs = [
        {
            "weights": {key: float(share) for key, share in zip(space.keys, shares, strict=True)},
            "params": all_values(params),
            "model": str(inputs.one("model").path),
            "tokens": [str(item.path) for item in inputs.many("tokens")],
            "held_out": [str(item.path) for item in inputs.many("held_out")],
            "state": str(runtime.state / STATE / f"{number:04d}"),
            "device": runtime.device,
            "checkpoint_seconds": runtime.checkpoint_seconds,
        }
        for number, shares in enumerate(shares_PK)
    ]
    done = runtime.shards("proxies", "sampan.train.proxies:proxy_job", jobs, unit="runs")
    return np.array([[shard.facts["losses"].get(name, math.nan) for name in targets] for shard in done])


def _report(
    space: Space,
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


def _weights(space: Space, optimum: Optimum) -> dict[str, dict[str, float]]:
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
    told = ", ".join(f"{key} {row['share']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" for key, row in weights.items())
    return {
        "proxies": len(about["runs"]),
        "weights": {key: row["share"] for key, row in weights.items()},
        "predicted_loss": about["objective"]["predicted"],
        "predicted_difference": difference,
        "loo_rank_correlation": rank,
        "loo_relative_error": about["leave_one_out"]["relative_error"],
        "text": f"{told}; loss {about['objective']['predicted']:.4f}, {difference['median']:+.4f} "
        f"[{difference['low']:+.4f}, {difference['high']:+.4f}] on shares by tokens; left-out runs ranked at ρ = {rank}",
    }


def _short(value: float) -> float:
    """Seven digits: more would be noise of the last bits."""
    return float(f"{value:.7g}")
