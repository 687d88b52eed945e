"""`train.mixture_search`: small runs over sampled mixtures, a regression of their losses, and the best mixture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from .forecast import Facts, forecast, model_shape, token_count
from .objectives import OBJECTIVES
from .refusals import check_model
from .settings import Optimisation

_STREAMS = 10
"""Languages that a held-out input is taken to hold, for the forecast."""


@params
class Params(Optimisation):
    num_proxies: int = 64
    """Runs. RegMix used 512; with these regressions 64 to 128 rank mixtures as well (docs/why/mixture.md)."""
    num_tokens: float = 0
    """Tokens of each run, rounded up to whole steps; 0 = as many as all streams hold."""
    global_batch_tokens: int = 65_536
    """Tokens per step of a run (ours)."""
    streams: tuple[str, ...] = ()
    """What gets a weight: `N/LANGUAGE`, `N/*` or a language, N counting the `tokens` inputs from 0. Empty = every
    stream."""
    targets: dict[str, float] = field(default_factory=dict)
    """Weights of the held-out streams' losses, by the same kind of keys over the `held_out` inputs; a key's weight is
    shared out evenly among its streams. Empty = all alike."""
    held_out_tokens: int = 262_144
    """Tokens of each held-out stream that are scored, at most."""
    budget: float = 0
    """Tokens of the run that the mixture is for; with max_epochs it limits a small stream's share. 0 = no limit."""
    max_epochs: float = 4
    """How often that run may repeat a stream (arXiv:2305.16264)."""
    min_shares: dict[str, float] = field(default_factory=dict)
    """Least share of the whole, by key of `streams`: a floor for a small language, or for replay."""
    max_shares: dict[str, float] = field(default_factory=dict)
    """Greatest share of the whole, by key of `streams`."""
    alpha: float = 0.5
    """Mixtures are sampled around shares in proportion to tokens^alpha (RegMix: 0.5)."""
    min_strength: float = 0.5
    """Least concentration of the samples, times the number of streams; small ones are lopsided. Ours."""
    max_strength: float = 5.0
    """Greatest concentration of the samples, times the number of streams. Ours."""
    redraws: int = 200
    """How often the losses' noise is drawn again for the intervals."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("held_out_every", "prompts", "log_streams", "keep_adapter", "keep_moments", "with_moments"):
            if getattr(self, name):
                raise ValueError(f"a search writes no model and no log: leave out {name}")
        if self.num_proxies < 4 or self.global_batch_tokens < 1 or self.held_out_tokens < 1 or self.redraws < 1:
            raise ValueError("num_proxies must be at least 4; global_batch_tokens, held_out_tokens and redraws 1")
        if not 0 < self.min_strength <= self.max_strength:
            raise ValueError("min_strength must be above 0 and at most max_strength")
        if not (self.budget >= 0 and self.max_epochs > 0 and 0 <= self.num_tokens < math.inf):
            raise ValueError("budget must be 0 or more, max_epochs above 0, and num_tokens 0 or more and finite")
        if not all(weight >= 0 for weight in self.targets.values()):
            raise ValueError("targets must be 0 or more")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .searching import search

    return search(params, inputs, runtime)


def estimate(params: Params, facts: Facts) -> Mapping[str, float]:
    """All runs one after another; memory is that of one."""
    tokens = params.num_tokens or token_count(facts, "tokens", per_document=500)
    one = forecast(tokens, model_shape(facts), params)
    held_out = token_count(facts, "held_out", per_document=500)
    most = _STREAMS * params.held_out_tokens * len(facts.get("held_out") or [])
    scored = min(held_out, most) / 3  # a third of the work of a training step
    factor = params.num_proxies * (1 + scored / tokens if tokens else 1)
    return {
        "flops": one["flops"] * factor,
        "seconds": one["seconds"] * factor,
        "memory_bytes": one["memory_bytes"],
        "disk_bytes": 1e6,
    }


def reads(params: Params) -> Mapping[str, str]:
    """The objective's revision."""
    return {"objective": OBJECTIVES.revision("causal_lm")}


STAGE = Stage(
    name="train.mixture_search",
    revision=5,
    summary="Weights of token streams for the lowest held-out loss: small runs over sampled mixtures and a regression.",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the small model that every run starts from"),
        "tokens": Role(kinds=("tokens",), help="the streams to weigh, as train.causal_lm will get them", many=True),
        "held_out": Role(kinds=("tokens",), help="held-out streams whose loss is to be low", many=True),
    },
    output="mixture",
    run=run,
    estimate=estimate,
    check_facts=check_model,
    reads=reads,
    heavy=True,
    paper="RegMix (arXiv:2407.01492); SEA-LION v3 (arXiv:2504.05747) §2.1 chose its ratios by small runs.",
)
