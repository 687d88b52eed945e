"""`train.preference`: learn from pairs of answers with DPO or SimPO."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from ..core.errors import RecipeError
from ..core.params import params
from ..core.stage import Artifact, Inputs, Role, Runtime, Stage
from .forecast import Facts, forecast, model_size, token_count
from .objectives import OBJECTIVES
from .settings import Optimisation


@params
class Params(Optimisation):
    objective: str = "dpo"
    """dpo or simpo."""
    beta: float = 0.1
    """Strength of the preference. Ours, not SeaLLMs' or SEA-LION's paper: DPO's usual 0.1; SimPO takes 2 to 10."""
    gamma: float = 0.5
    """SimPO's target margin γ itself, as LLaMA-Factory's `simpo_gamma`; papers also print γ/β. DPO does not use it."""
    label_smoothing: float = 0.0
    """Share of the pairs taken to be labelled wrongly (conservative DPO); ours, not the paper's."""
    sft_weight: float = 0.0
    """Weight of the chosen answer's mean negative log-likelihood, added to the loss; ours, not the paper's."""
    lr: float = 5e-7
    """Peak learning rate; the usual one of 7B DPO runs, ours, not the paper's."""
    schedule: Literal["wsd", "cosine", "linear", "constant"] = "cosine"
    """Shape of the learning rate; SimPO's reference recipe."""
    epochs: float = 1.0
    """Times that every pair is seen."""
    global_batch_pairs: int = 128
    """Pairs per step; SimPO's reference recipe (arXiv:2405.14734)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.global_batch_pairs < 1 or self.epochs <= 0 or self.beta <= 0:
            raise ValueError("global_batch_pairs, epochs and beta must be above 0")
        if not (self.gamma >= 0 and self.sft_weight >= 0):
            raise ValueError("gamma and sft_weight must be 0 or more")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError("label_smoothing must be at least 0 and below 0.5")
        unread = {"dpo": "gamma", "simpo": "label_smoothing"}.get(self.objective)
        if unread and getattr(self, unread) != getattr(Params, unread):
            raise ValueError(f"{self.objective} does not read {unread}: leave it out")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..artifacts.conversations import read_preferences
    from ..artifacts.licenses import noting_licenses
    from ..model.tokenizer import load_tokenizer
    from .batches import ListBatches
    from .dialogues import pair_pieces
    from .loop import Task, open_model, train
    from .pair_loss import PairLoss

    objective = OBJECTIVES.load(params.objective, where="objective")
    wanted = inspect.signature(objective).parameters
    if "pairs" not in wanted:
        raise RecipeError(f"'{params.objective}' does not learn from pairs", where="objective", how="Use dpo or simpo.")
    source = inputs.one("model")
    model = open_model(source, params, runtime)
    rows = (row for artifact in inputs.many("preferences") for row in read_preferences(artifact))
    licenses: set[str] = set()
    rows = noting_licenses(rows, licenses)
    pairs, names, notes = pair_pieces(load_tokenizer(source.path), rows, context_len=params.context_len)
    batches = ListBatches(
        pairs,
        [1] * len(pairs),
        budget=params.global_batch_pairs,
        epochs=params.epochs,
        seed=params.seed,
        names=names,
        unit="pairs",
    )
    settings = {name: getattr(params, name) for name in wanted if hasattr(params, name)}
    reference = (
        _reference(model, source, pairs, inputs.optional("reference"), params, runtime)
        if "reference" in wanted
        else None
    )
    loss = PairLoss(objective, settings, reference, params.sft_weight)
    metrics = train(model, source, Task(batches, loss, uniform=False), params, runtime)
    return {**metrics, "pairs": len(pairs), "dropped": dict(notes), "licenses": sorted(licenses)}


def _reference(
    model: Any, source: Artifact, pairs: Any, other: Artifact | None, params: Params, runtime: Runtime
) -> Any:
    """Log-probabilities under the reference, computed once: by `other`, or by the model before it is trained."""
    from .checks import check_same_tokenizer
    from .loop import compute_dtype, open_model
    from .pair_loss import reference_logprobs

    referee = model
    if other is not None:
        referee = open_model(other, params, runtime)
        check_same_tokenizer(source, other)
    return reference_logprobs(
        referee,
        pairs,
        micro_batch_tokens=params.micro_batch_tokens,
        dtype=compute_dtype(params.dtype, runtime.device),
        runtime=runtime,
    )


def estimate(params: Params, facts: Facts) -> Mapping[str, float]:
    tokens = params.epochs * token_count(facts, "preferences", per_document=600)
    # A reference pass costs a third of a training pass.
    share = 4 / 3 if params.objective == "dpo" else 1.0
    out = forecast(
        tokens, model_size(facts), context_len=params.context_len, micro_batch_tokens=params.micro_batch_tokens
    )
    return {**out, "flops": out["flops"] * share, "seconds": out["seconds"] * share}


def reads(params: Params) -> Mapping[str, str]:
    """The objective's revision."""
    return {"objective": OBJECTIVES.revision(params.objective)}


STAGE = Stage(
    name="train.preference",
    revision=1,
    summary="Preference optimisation on pairs of answers: DPO or SimPO.",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the model to align, with a chat template"),
        "preferences": Role(kinds=("preferences",), help="prompts with a chosen and a rejected answer", many=True),
        "reference": Role(kinds=("checkpoint",), help="DPO's reference; the model itself if left out", required=False),
    },
    output="checkpoint",
    run=run,
    estimate=estimate,
    reads=reads,
    heavy=True,
    spreads=True,
    paper="SeaLLMs (arXiv:2312.00738) §3.3: DPO; SEA-LION v3 (arXiv:2504.05747) §3: SimPO.",
)
