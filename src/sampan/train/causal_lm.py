"""`train.causal_lm`: pre-training, continued pre-training, and the hybrid stage, whose shards carry a loss mask."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..core.errors import RecipeError, StageError
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from .forecast import Facts, forecast, model_shape, token_count
from .mixture import check_phases
from .objectives import OBJECTIVES
from .refusals import Kinds, check_given, check_model
from .schedules import count_steps, schedule_of
from .settings import HELD_OUT, NEURONS, Optimisation


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
    """Tokens to train on, in whole steps (see `tail`); 0 = every token once."""
    global_batch_tokens: int = 4_194_304
    """Tokens per step. SEA-LION v3's 512 sequences of 8192 (arXiv:2504.05747)."""
    tail: Literal["carry", "drop", "pad"] = "carry"
    """What becomes of the tokens at the end that do not fill a step (ours): `carry` fills it up with the beginning of
    the streams' next pass, `drop` leaves them out, `pad` makes the last step a shorter one. Inside the run no document
    loses a token: what is cut at the end of a step or of the context goes on in the next piece."""
    skip_tokens: float = 0
    """Tokens that a run before this one, with the same seed and global_batch_tokens, has trained on: whole steps. The
    streams go on where it ended, and the phases of `mixture` are shares of both together."""
    mixture: tuple[Phase, ...] = ()
    """Weights of the streams, phase by phase; empty = as the input `mixture` says, or in proportion to their tokens."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.global_batch_tokens < 1 or not 0 <= self.num_tokens < math.inf:
            raise ValueError("global_batch_tokens must be at least 1, num_tokens 0 or more and finite")
        if not self.skip_tokens >= 0 or self.skip_tokens % self.global_batch_tokens:
            raise ValueError("skip_tokens must be a multiple of global_batch_tokens")
        check_phases([(phase.until, phase.weights) for phase in self.mixture])


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .checks import check_vocabulary
    from .loop import open_model, train
    from .task import token_task

    source = inputs.one("model")
    model = open_model(source, params, runtime)
    shards = open_shards(inputs)
    for artifact, view in zip(inputs.many("tokens"), shards, strict=True):
        check_vocabulary(model, source, artifact, view)
    objective = OBJECTIVES.load("causal_lm")
    streams = open_streams(shards, seed=params.seed)
    batches = make_batches(streams, _phases(params, inputs), params, tail=params.tail, skip=int(params.skip_tokens))
    task = token_task(batches, objective, z_loss=params.z_loss)
    return train(model, inputs, task, params, runtime)


def open_shards(inputs: Inputs) -> list[Any]:
    """Views of the `tokens` inputs; StageError if no token of them is trained."""
    from ..artifacts.tokens import read_tokens

    shards = [read_tokens(artifact) for artifact in inputs.many("tokens")]
    if not sum(view.index["trained_tokens"] for view in shards):
        raise StageError("no token of these inputs is trained", how="Check the loss masks of the packed data.")
    return shards


def _phases(params: Params, inputs: Inputs) -> list[tuple[float, Mapping[str, float]]]:
    """The mixture's phases: the parameter's, or one with the weights of the input."""
    found = inputs.optional("mixture")
    if found is None:
        return [(phase.until, phase.weights) for phase in params.mixture]
    from ..artifacts.mixture import read_mixture

    return [(1.0, read_mixture(found))]


def open_streams(shards: list[Any], *, seed: int) -> list[Any]:
    """Every language of every `tokens` input that holds a token, named `N/LANGUAGE`."""
    from .batches import Stream

    streams = [
        Stream(view, language, name=f"{number}/{language}", seed=seed)
        for number, view in enumerate(shards)
        for language in view.stream_names
    ]
    return [stream for stream in streams if stream.tokens]


def make_batches(
    streams: list[Any],
    phases: Sequence[tuple[float, Mapping[str, float]]],
    params: Any,
    *,
    tail: str = "carry",
    skip: int = 0,
) -> Any:
    """The steps of a run over `streams`, as num_tokens, global_batch_tokens and context_len of `params` say, behind
    the first `skip` tokens.

    RecipeError if nothing is left behind these, or where the `tail` is dropped.
    """
    from .batches import ShardBatches
    from .mixture import make_mixture

    sizes = {stream.name: stream.tokens for stream in streams}
    size = params.global_batch_tokens
    if not params.num_tokens and skip >= sum(sizes.values()):
        raise RecipeError(
            f"skip_tokens leaves none of the {sum(sizes.values()):,} tokens",
            where="skip_tokens",
            how="Set num_tokens, to go on in their next pass.",
        )
    wanted = math.ceil(params.num_tokens or sum(sizes.values()) - skip)
    steps, first = count_steps(wanted, size, tail), skip // size
    mixture = make_mixture(phases, sizes, steps=first + steps, tokens_per_step=size)
    short = steps * size - wanted if tail == "pad" else 0
    return ShardBatches(streams, mixture, steps=steps, context_len=params.context_len, short=short, first=first)


def check(params: Params, given: Kinds) -> None:
    """RecipeError for a weight of the mixture that names a `tokens` input which is not there, a mixture given twice,
    and a run whose steps are known and too few."""
    check_given(params, given)
    if params.mixture and given.get("mixture"):
        raise RecipeError(
            "the mixture is given twice, as a parameter and as the input `mixture`", how="Leave one of them out."
        )
    if params.num_tokens:
        schedule_of(params, count_steps(math.ceil(params.num_tokens), params.global_batch_tokens, params.tail))
    count = len(given.get("tokens", ()))
    for key in {key for phase in params.mixture for key in phase.weights}:
        number = key.partition("/")[0]
        if number.isdigit() and int(number) >= count:
            raise RecipeError(
                f"the mixture weighs '{key}', and there {'is' if count == 1 else 'are'} {count} `tokens`",
                how="N/ counts them from 0.",
            )


def estimate(params: Params, facts: Facts) -> Mapping[str, float]:
    tokens = params.num_tokens or max(1, token_count(facts, "tokens", per_document=500) - params.skip_tokens)
    out = forecast(
        tokens,
        model_shape(facts),
        params,
        step_tokens=params.global_batch_tokens,
    )
    return {**out, "tokens_by_source": by_stream(params, tokens)} if params.mixture else out


def by_stream(params: Params, tokens: float) -> dict[str, float]:
    """Tokens under each key of the mixture, over all phases."""
    found: dict[str, float] = {}
    start = 0.0
    for phase in params.mixture:
        total = sum(phase.weights.values())
        for name, weight in phase.weights.items():
            found[name] = found.get(name, 0.0) + (phase.until - start) * tokens * weight / total
        start = phase.until
    return found


def reads(params: Params) -> Mapping[str, str]:
    """The objective's revision."""
    return {"objective": OBJECTIVES.revision("causal_lm")}


STAGE = Stage(
    name="train.causal_lm",
    revision=5,
    summary="Next-token training on packed documents: from scratch, continued, or hybrid with masked supervised data.",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the model to go on from"),
        "tokens": Role(kinds=("tokens",), help="packed documents made with the model's tokenizer", many=True),
        "mixture": Role(kinds=("mixture",), help="weights that were searched for", required=False),
        "held_out": HELD_OUT,
        "neurons": NEURONS,
    },
    output="checkpoint",
    run=run,
    estimate=estimate,
    reads=reads,
    check=check,
    check_facts=check_model,
    heavy=True,
    spreads=True,
    paper="SeaLLMs (arXiv:2312.00738) §2.3, §3.2; SEA-LION v3 (arXiv:2504.05747) §2.",
)
