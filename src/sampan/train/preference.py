"""`train.preference`: learn from pairs of answers, or from answers that were judged one by one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ..core.errors import RecipeError
from ..core.params import params
from ..core.stage import Artifact, Inputs, Role, Runtime, Stage
from .forecast import Facts, forecast, model_shape, token_count
from .objectives import OBJECTIVES
from .refusals import check_given, check_model
from .settings import HELD_OUT, Optimisation

_READS = {
    "dpo": {"beta", "label_smoothing"},
    "dpo_norm": {"beta"},
    "dpo_robust": {"beta", "label_smoothing"},
    "ipo": {"beta"},
    "apo_zero": {"beta"},
    "apo_down": {"beta"},
    "simpo": {"beta", "gamma"},
    "orpo": {"beta"},
    "kto": {"beta", "desirable_weight", "undesirable_weight"},
}
"""The settings that each objective reads."""
_WITHOUT_REFERENCE = ("simpo", "orpo")


@params
class Params(Optimisation):
    objective: str = "dpo"
    """dpo, dpo_norm (log-ratios per token), dpo_robust (unbiased under wrong labels), ipo, apo_zero, apo_down, simpo,
    orpo, or kto, which also takes answers judged one by one."""
    beta: float = 0.1
    """Strength of the preference. Ours, not SeaLLMs' or SEA-LION's paper: DPO's usual 0.1; simpo and dpo_norm take 2
    to 10; ipo's τ and orpo's λ."""
    gamma: float = 0.5
    """SimPO's target margin γ itself, as LLaMA-Factory's `simpo_gamma`; papers also print γ/β."""
    label_smoothing: float = 0.0
    """Share of the pairs taken to be labelled wrongly (dpo: conservative DPO; dpo_robust); ours, not the paper's."""
    desirable_weight: float = 1.0
    """KTO's weight of desirable answers."""
    undesirable_weight: float = 1.0
    """KTO's weight of undesirable answers; its authors keep the two sorts' weight × number within 1 to 4/3."""
    sft_weight: float = 0.0
    """Weight of the chosen answer's mean negative log-likelihood, added to the loss; ours, not the paper's."""
    lr: float = 5e-7
    """Peak learning rate; the usual one of 7B DPO runs, ours, not the paper's."""
    schedule: Literal["wsd", "cosine", "linear", "constant"] = "cosine"
    """Shape of the learning rate; SimPO's reference recipe."""
    epochs: float = 1.0
    """Times that every pair or answer is seen."""
    global_batch_pairs: int = 128
    """Pairs (for kto, answers) per step; SimPO's reference recipe (arXiv:2405.14734)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        OBJECTIVES.check(self.objective, where="objective")
        known = OBJECTIVES.arguments(self.objective)
        if known and not {"pairs", "answers"} & known:
            raise RecipeError(
                f"'{self.objective}' does not learn from answers", where="objective", how=f"Use {', '.join(_READS)}."
            )
        if self.z_loss:
            raise ValueError("train.preference does not read z_loss: leave it out")
        if self.global_batch_pairs < 1 or not all(0 < x < math.inf for x in (self.epochs, self.beta)):
            raise ValueError("global_batch_pairs, epochs and beta must be above 0, and finite")
        if not (self.gamma >= 0 and self.sft_weight >= 0):
            raise ValueError("gamma and sft_weight must be 0 or more")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError("label_smoothing must be at least 0 and below 0.5")
        if not (self.desirable_weight > 0 and self.undesirable_weight > 0):
            raise ValueError("desirable_weight and undesirable_weight must be above 0")
        settings = set().union(*_READS.values())
        unread = settings - _READS.get(self.objective, settings) | (
            {"sft_weight"} if self.objective == "kto" else set()
        )
        for name in sorted(unread):
            if getattr(self, name) != getattr(Params, name):
                raise ValueError(f"{self.objective} does not read {name}: leave it out")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .loop import open_model, train

    objective = OBJECTIVES.load(params.objective, where="objective")
    wanted = inspect.signature(objective).parameters
    source = inputs.one("model")
    judges = bool({"reference", "answers"} & wanted.keys()) and inputs.optional("reference") is None
    model = open_model(source, params, runtime, whole=judges)
    settings = {name: getattr(params, name) for name in wanted if hasattr(params, name)}
    make = _pair_task if "pairs" in wanted else _answer_task
    task, facts = make(objective, settings, model, inputs, params, runtime)
    return {**train(model, inputs, task, params, runtime), **facts}


def _pair_task(
    objective: Any, settings: Mapping[str, float], model: Any, inputs: Inputs, params: Params, runtime: Runtime
) -> tuple[Any, dict[str, Any]]:
    """The task of learning from pairs, and its metrics."""
    from ..artifacts.conversations import read_preferences
    from .dialogues import pair_pieces
    from .pair_loss import PairLoss
    from .task import Task

    tokenizer, rows, licenses = _open(inputs, read_preferences)
    pairs, names, notes = pair_pieces(tokenizer, rows, context_len=params.context_len)
    wants = "reference" in inspect.signature(objective).parameters
    reference = _reference(model, pairs, inputs, params, runtime) if wants else None
    loss = PairLoss(objective, settings, reference, params.sft_weight)
    facts = {"pairs": len(pairs), "dropped": dict(notes), "licenses": sorted(licenses)}
    return Task(_batches(pairs, names, params, "pairs"), loss, uniform=False, losses=loss.losses), facts


def _answer_task(
    objective: Any, settings: Mapping[str, float], model: Any, inputs: Inputs, params: Params, runtime: Runtime
) -> tuple[Any, dict[str, Any]]:
    """The task of learning from answers judged one by one, and its metrics."""
    from ..artifacts.conversations import read_judged
    from .answer_loss import AnswerLoss, mismatched, with_mismatched
    from .dialogues import judged_pieces
    from .distributed import join
    from .task import Task

    tokenizer, rows, licenses = _open(inputs, read_judged)
    pieces, desirable, names, notes = judged_pieces(tokenizer, rows, context_len=params.context_len)
    others = mismatched(pieces, context_len=params.context_len, seed=params.seed)
    reference = _reference(model, with_mismatched(pieces, others), inputs, params, runtime)
    limits = {"micro_batch_tokens": params.micro_batch_tokens, "device": join(runtime).device}
    loss = AnswerLoss(objective, settings, desirable, others, reference, **limits)
    batches = _batches([[piece] for piece in pieces], names, params, "answers")
    good = sum(desirable)
    facts = {"desirable": good, "undesirable": len(pieces) - good, "dropped": dict(notes), "licenses": sorted(licenses)}
    return Task(batches, loss, uniform=False, prepare=loss.prepare, losses=loss.losses), facts


def _open(inputs: Inputs, read: Callable[[Artifact], Any]) -> tuple[Any, Any, set[str]]:
    """The model's tokenizer, the rows of all preferences, and the set that their licences will be in."""
    from ..artifacts.licenses import noting_licenses
    from ..model.tokenizer import load_tokenizer

    licenses: set[str] = set()
    rows = (row for artifact in inputs.many("preferences") for row in read(artifact))
    return load_tokenizer(inputs.one("model").path), noting_licenses(rows, licenses), licenses


def _batches(examples: Any, names: Any, params: Params, unit: str) -> Any:
    from .batches import ListBatches

    return ListBatches(
        examples,
        [1] * len(examples),
        lengths=[sum(len(piece.ids) for piece in example) for example in examples],
        budget=params.global_batch_pairs,
        epochs=params.epochs,
        seed=params.seed,
        names=names,
        unit=unit,
    )


def _reference(model: Any, pairs: Any, inputs: Inputs, params: Params, runtime: Runtime) -> Any:
    """Log-probabilities under the reference, computed once: by the input, or by the model before it is trained."""
    from .checks import check_same_tokenizer
    from .loop import compute_dtype, open_model
    from .pair_loss import reference_logprobs

    referee, other = model, inputs.optional("reference")
    if other is not None:
        referee = open_model(other, params, runtime, whole=True)
        check_same_tokenizer(inputs.one("model"), other)
    return reference_logprobs(
        referee,
        pairs,
        micro_batch_tokens=params.micro_batch_tokens,
        dtype=compute_dtype(params.computation, runtime.device),
        runtime=runtime,
    )


def estimate(params: Params, facts: Facts) -> Mapping[str, float]:
    tokens = params.epochs * token_count(facts, "preferences", per_document=600)
    # A reference pass costs a third of a training pass.
    share = 1.0 if params.objective in _WITHOUT_REFERENCE else 4 / 3
    pairs = params.epochs * sum(fact.get("documents", 0) for fact in facts.get("preferences") or [])
    step_tokens = tokens * params.global_batch_pairs / pairs if pairs else 0
    out = forecast(tokens, model_shape(facts), params, step_tokens=step_tokens)
    whole = {"loaded_whole": 1} if share > 1 else {}  # the reference's weights
    return {**out, **whole, "flops": out["flops"] * share, "seconds": out["seconds"] * share}


def reads(params: Params) -> Mapping[str, str]:
    """The objective's revision."""
    return {"objective": OBJECTIVES.revision(params.objective)}


STAGE = Stage(
    name="train.preference",
    revision=7,
    summary="Preference optimisation on pairs of answers, or on answers judged one by one (KTO).",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the model to align, with a chat template"),
        "preferences": Role(
            kinds=("preferences",), help="prompts with a chosen and a rejected answer, or a judged one", many=True
        ),
        "reference": Role(
            kinds=("checkpoint",),
            help="what the model is compared with; itself before training if left out",
            required=False,
        ),
        "held_out": HELD_OUT,
    },
    output="checkpoint",
    run=run,
    estimate=estimate,
    reads=reads,
    check=check_given,
    check_facts=check_model,
    heavy=True,
    spreads=True,
    paper="SeaLLMs (arXiv:2312.00738) §3.3: DPO; SEA-LION v3 (arXiv:2504.05747) §3: SimPO.",
)
