"""`train.distil`: learn the next-token distributions of a teacher with the same vocabulary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from ..core.errors import RecipeError, StageError
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from .forecast import Facts, forecast, model_shape, token_count
from .objectives import OBJECTIVES
from .refusals import Kinds, check_given, check_model
from .schedules import count_steps, schedule_of
from .settings import HELD_OUT, Optimisation


@params
class Params(Optimisation):
    divergence: str = "forward_kl"
    """forward_kl (the student covers all that the teacher says), reverse_kl (it keeps to what the teacher likes) or
    jensen_shannon (between the two, bounded)."""
    temperature: float = 1.0
    """Both sides' logits are divided by this; the loss is multiplied by its square (arXiv:1503.02531)."""
    teacher_share: float = 1.0
    """Share of the divergence in the loss; the rest is cross-entropy with the text. Ours, not the paper's."""
    top_k: int = 0
    """0 = the teacher runs beside the student and its whole vocabulary counts. K = its K likeliest tokens are computed
    before training and kept on disk, all others count as one, and the two models are never in memory together."""
    schedule: Literal["wsd", "cosine", "linear", "constant"] = "cosine"
    """Shape of the learning rate; ours, not the paper's."""
    epochs: float = 1.0
    """Times that every conversation is seen."""
    num_tokens: float = 0
    """For `tokens`: tokens to train on; 0 = every token once."""
    global_batch_tokens: int = 524_288
    """Tokens per step, for conversations at most about this many."""
    loss_on: Literal["all", "last", "none"] = "all"
    """Which assistant turns of conversations are learnt from, where a turn does not say so itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        OBJECTIVES.check(self.divergence, where="divergence")
        known = OBJECTIVES.arguments(self.divergence)
        if known and "student_CV" not in known:
            raise RecipeError(
                f"'{self.divergence}' does not compare distributions",
                where="divergence",
                how="Use forward_kl, reverse_kl or jensen_shannon.",
            )
        if self.z_loss:
            raise ValueError("train.distil does not read z_loss: leave it out")
        if self.global_batch_tokens < 1 or not all(0 < x < math.inf for x in (self.epochs, self.temperature)):
            raise ValueError("global_batch_tokens, epochs and temperature must be above 0, and finite")
        if not 0 <= self.num_tokens < math.inf:
            raise ValueError("num_tokens must be 0 or more, and finite")
        if not 0 <= self.teacher_share <= 1:
            raise ValueError("teacher_share is a share between 0 and 1")
        if self.top_k < 0:
            raise ValueError("top_k must be 0 or more")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .checks import check_same_tokenizer
    from .divergence import Lesson
    from .loop import compute_dtype, open_model, train
    from .task import Task
    from .teaching import Distillation, TopStore

    for option in ("tensor_parallel", "context_parallel"):
        if getattr(runtime.spread, option) > 1:
            raise StageError(
                "a teacher is not asked about parts of a batch",
                where=f"--{option.replace('_', '-')}",
                how="Let FSDP alone divide.",
            )
    divergence = OBJECTIVES.load(params.divergence, where="divergence")
    source, master = inputs.one("model"), inputs.one("teacher")
    check_same_tokenizer(source, master)
    lesson = Lesson(divergence, params.teacher_share, params.temperature)
    teacher = open_model(master, params, runtime, whole=True).requires_grad_(False)
    batches, facts = _batches(params, inputs, teacher, runtime)
    if params.top_k:
        store = TopStore(runtime.state)
        dtype = compute_dtype(params.computation, runtime.device)
        limits = {"temperature": params.temperature, "micro_batch_tokens": params.micro_batch_tokens, "dtype": dtype}
        store.fill(teacher, batches, count=params.top_k, runtime=runtime, **limits)
        teacher = store
    model = open_model(source, params, runtime)
    distillation = Distillation(teacher, lesson)
    task = Task(batches, distillation, uniform=True, score=distillation.score, losses=distillation.losses)
    return {**train(model, inputs, task, params, runtime), **facts}


def _batches(params: Params, inputs: Inputs, teacher: Any, runtime: Runtime) -> tuple[Any, dict[str, Any]]:
    """The steps of conversations or of packed tokens, and what to tell of them."""
    if inputs.many("tokens"):
        from .causal_lm import make_batches, open_shards, open_streams
        from .checks import check_vocabulary

        shards = open_shards(inputs)
        for artifact, view in zip(inputs.many("tokens"), shards, strict=True):
            check_vocabulary(teacher, inputs.one("teacher"), artifact, view)
        return make_batches(open_streams(shards, seed=params.seed), [], params), {}
    from .sft import conversation_batches

    return conversation_batches(params, inputs, runtime)


def check(params: Params, given: Kinds) -> None:
    """RecipeError unless there is one sort of text to learn on."""
    check_given(params, given)
    if bool(given.get("conversations")) == bool(given.get("tokens")):
        raise RecipeError(
            "distillation takes either conversations or tokens", how="Give one of the inputs `conversations`, `tokens`."
        )
    if params.num_tokens and given.get("conversations"):
        raise RecipeError("num_tokens is for the input `tokens`", how="For conversations, set epochs.")
    if params.epochs != 1 and given.get("tokens"):
        raise RecipeError("epochs is for the input `conversations`", how="For tokens, set num_tokens.")
    if params.num_tokens:
        steps = count_steps(math.ceil(params.num_tokens), params.global_batch_tokens, "carry")
        schedule_of(params, steps)


def estimate(params: Params, facts: Facts) -> Mapping[str, float]:
    role = "conversations" if facts.get("conversations") else "tokens"
    tokens = params.num_tokens or params.epochs * token_count(facts, role, per_document=300)
    own = forecast(tokens, model_shape(facts), params, step_tokens=params.global_batch_tokens)
    teacher = forecast(tokens, model_shape(facts, "teacher"), Optimisation(context_len=params.context_len))
    # The teacher only goes forward: a third of a training pass, and its weights without gradient and moments.
    memory = max if params.top_k else sum
    return {
        **own,
        "flops": own["flops"] + teacher["flops"] / 3,
        "seconds": own["seconds"] + teacher["seconds"] / 3,
        "divisible": 0,
        "shareable": 0,
        "beside_bytes": 0 if params.top_k else own["weight_bytes"] * teacher["parameters"],
        "memory_bytes": memory([own["memory_bytes"], own["weight_bytes"] * teacher["parameters"]]),
        "loaded_whole": 1,  # the teacher
    }


def reads(params: Params) -> Mapping[str, str]:
    """The divergence's revision."""
    return {"divergence": OBJECTIVES.revision(params.divergence)}


STAGE = Stage(
    name="train.distil",
    revision=5,
    summary="Distillation: learn a teacher's next-token distributions on conversations or packed documents.",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the student"),
        "teacher": Role(kinds=("checkpoint",), help="who is learnt from; the same tokenizer"),
        "conversations": Role(kinds=("conversations",), help="text to learn on", many=True, required=False),
        "tokens": Role(kinds=("tokens",), help="or packed documents", many=True, required=False),
        "held_out": HELD_OUT,
    },
    output="checkpoint",
    run=run,
    estimate=estimate,
    reads=reads,
    check=check,
    check_facts=check_model,
    heavy=True,
    spreads=True,
    paper="Hinton et al. 2015 (arXiv:1503.02531); MiniLLM (arXiv:2306.08543); GKD (arXiv:2306.13649).",
)
