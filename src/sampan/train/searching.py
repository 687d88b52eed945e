"""The work of train.mixture_search: which mixtures are allowed, which to try, and the runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import RecipeError, StageError, did_you_mean
from ..core.params import all_values
from ..core.stage import Inputs, Runtime
from .causal_lm import open_shards, open_streams
from .mixture import MIN_TOKENS_PER_STEP, matches
from .mixture_findings import report
from .mixture_optimum import Objective, Region, find_optimum, sample
from .mixture_regression import fit
from .proxies import STATE


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
    return report(space, targets, shares_PK, losses_PT, objective, optimum, runtime)


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
    """The mixtures to try [P, K]: in proportion to tokens, the prior if it is another, and samples. Shares too small to
    show are 0."""
    fixed = [space.natural_K, space.region.nearest(space.prior_K)]
    if np.allclose(*fixed):
        fixed.pop()
    strengths = (params.min_strength, params.max_strength)
    drawn = sample(space.prior_K, space.region, params.num_proxies - len(fixed), strengths=strengths, rng=rng)
    shares = np.concatenate([fixed, drawn])
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
