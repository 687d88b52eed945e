"""`train.sft`: supervised fine-tuning on conversations, with loss on the assistant's words only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from .forecast import Facts, forecast, model_shape, token_count
from .objectives import OBJECTIVES
from .refusals import check_given, check_model
from .settings import HELD_OUT, NEURONS, Optimisation


@params
class Params(Optimisation):
    schedule: Literal["wsd", "cosine", "linear", "constant"] = "cosine"
    """Shape of the learning rate; ours, not the paper's."""
    warmup_share: float = 0.03
    """Share of the steps in which the rate rises linearly from 0; ours, not the paper's."""
    epochs: float = 1.0
    """Times that every conversation is seen; ours, not the paper's."""
    global_batch_tokens: int = 524_288
    """Tokens per step: at most about this many, in whole conversations; 128 × 4096 is ours, not the paper's."""
    loss_on: Literal["all", "last", "none"] = "all"
    """Which assistant turns are trained, where a message does not say so itself (`"train": true` or `false`)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.global_batch_tokens < 1 or not 0 < self.epochs < math.inf:
            raise ValueError("global_batch_tokens and epochs must be above 0, and finite")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .loop import open_model, train
    from .task import token_task

    source = inputs.one("model")
    model = open_model(source, params, runtime)
    batches, facts = conversation_batches(params, inputs, runtime)
    objective = OBJECTIVES.load("sft")
    task = token_task(batches, objective, z_loss=params.z_loss)
    return {**train(model, inputs, task, params, runtime), **facts}


def conversation_batches(params: Any, inputs: Inputs, runtime: Runtime) -> tuple[Any, dict[str, Any]]:
    """The steps over the conversations, rendered by the model's template, and what to tell of them."""
    from ..artifacts.conversations import read_conversations
    from ..artifacts.licenses import noting_licenses
    from ..model.tokenizer import load_tokenizer
    from .batches import ListBatches
    from .rendered import open_rendered

    rows = (row for artifact in inputs.many("conversations") for row in read_conversations(artifact))
    kept = open_rendered(
        runtime.state,
        lambda licenses: noting_licenses(rows, licenses),
        load_tokenizer(inputs.one("model").path),
        context_len=params.context_len,
        loss_on=params.loss_on,
        tell=runtime.progress,
    )
    batches = ListBatches(
        kept,
        kept.lengths,
        budget=params.global_batch_tokens,
        epochs=params.epochs,
        seed=params.seed,
        names=kept.names,
        unit="tokens",
    )
    return batches, {"conversations": len(kept), "dropped": kept.dropped, "licenses": kept.licenses}


def estimate(params: Params, facts: Facts) -> Mapping[str, float]:
    tokens = params.epochs * token_count(facts, "conversations", per_document=300)
    return forecast(
        tokens,
        model_shape(facts),
        params,
        step_tokens=params.global_batch_tokens,
    )


def reads(params: Params) -> Mapping[str, str]:
    """The objective's revision."""
    return {"objective": OBJECTIVES.revision("sft")}


STAGE = Stage(
    name="train.sft",
    revision=6,
    summary="Supervised fine-tuning on conversations; only the assistant's words are trained.",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the model to tune, with a chat template"),
        "conversations": Role(kinds=("conversations",), help="what it should learn to say", many=True),
        "held_out": HELD_OUT,
        "neurons": NEURONS,
    },
    output="checkpoint",
    run=run,
    estimate=estimate,
    reads=reads,
    check=check_given,
    check_facts=check_model,
    heavy=True,
    spreads=True,
    paper="SeaLLMs (arXiv:2312.00738) §3.2; SEA-LION v3 (arXiv:2504.05747) §3.",
)
