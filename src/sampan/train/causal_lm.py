"""`train.causal_lm`: pre-training, continued pre-training, and the hybrid stage, whose shards carry a loss mask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..core.errors import StageError
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from .forecast import Facts, forecast, model_size, token_count
from .objectives import OBJECTIVES
from .settings import Optimisation


@params
class Phase:
    """A part of the run with weights of its own."""

    until: float
    """Share of the run at which this phase ends; the last one ends at 1."""
    weights: dict[str, float]
    """Relative weight by language, or by `LANGUAGE/QUALITY` or `*/QUALITY` where streams are packed by quality; with
    `N/` before it, N counting the `tokens` inputs from 0, of that input only; `N/*` is all of it. What is not named is
    left out."""


@params
class Params(Optimisation):
    num_tokens: float = 0
    """Tokens to train on, rounded up to whole steps; 0 = every token once."""
    global_batch_tokens: int = 4_194_304
    """Tokens per step. SEA-LION v3's 512 sequences of 8192 (arXiv:2504.05747)."""
    mixture: tuple[Phase, ...] = ()
    """Weights of the streams, phase by phase; empty = in proportion to their tokens."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.global_batch_tokens < 1:
            raise ValueError("global_batch_tokens must be at least 1")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .checks import check_vocabulary
    from .loop import Task, open_model, train

    source = inputs.one("model")
    model = open_model(source, params, runtime)
    shards = _open_shards(inputs)
    for artifact, view in zip(inputs.many("tokens"), shards, strict=True):
        check_vocabulary(model, source, artifact, view)
    objective = OBJECTIVES.load("causal_lm")
    task = Task(_batches(params, shards), lambda logprobs_N, batch: objective(logprobs_N), uniform=True)
    return train(model, source, task, params, runtime)


def _open_shards(inputs: Inputs) -> list[Any]:
    from ..artifacts.tokens import read_tokens

    shards = [read_tokens(artifact) for artifact in inputs.many("tokens")]
    if not sum(view.index["trained_tokens"] for view in shards):
        raise StageError("no token of these inputs is trained", how="Check the loss masks of the packed data.")
    return shards


def _batches(params: Params, shards: list[Any]) -> Any:
    from .batches import ShardBatches, Stream
    from .mixture import make_mixture

    streams = [
        Stream(view, language, name=f"{number}/{language}", seed=params.seed)
        for number, view in enumerate(shards)
        for language in view.stream_names
    ]
    streams = [stream for stream in streams if stream.tokens]
    sizes = {stream.name: stream.tokens for stream in streams}
    steps = math.ceil((params.num_tokens or sum(sizes.values())) / params.global_batch_tokens)
    phases = [(phase.until, phase.weights) for phase in params.mixture]
    mixture = make_mixture(phases, sizes, steps=steps, tokens_per_step=params.global_batch_tokens)
    return ShardBatches(streams, mixture, steps=steps, context_len=params.context_len)


def estimate(params: Params, facts: Facts) -> Mapping[str, float]:
    tokens = params.num_tokens or token_count(facts, "tokens", per_document=500)
    return forecast(
        tokens, model_size(facts), context_len=params.context_len, micro_batch_tokens=params.micro_batch_tokens
    )


def reads(params: Params) -> Mapping[str, str]:
    """The objective's revision."""
    return {"objective": OBJECTIVES.revision("causal_lm")}


STAGE = Stage(
    name="train.causal_lm",
    revision=1,
    summary="Next-token training on packed documents: from scratch, continued, or hybrid with masked supervised data.",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the model to go on from"),
        "tokens": Role(kinds=("tokens",), help="packed documents made with the model's tokenizer", many=True),
    },
    output="checkpoint",
    run=run,
    estimate=estimate,
    reads=reads,
    heavy=True,
    paper="SeaLLMs (arXiv:2312.00738) §2.3, §3.2; SEA-LION v3 (arXiv:2504.05747) §2.",
)
