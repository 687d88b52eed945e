"""`evals.judge`: chat benchmarks in turns, graded by a judge, or compared in pairs with both orders asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from ..core.identity import digest_resources
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import reads_own_profiles
from .elsewhere import Elsewhere


@params
class Params(Elsewhere):
    benchmark: Literal["mt_bench", "sea_bench", "seabench", "sea_mtbench"]
    """Whose rules hold: MT-Bench; Sea-bench (SeaLLMs v1 to v2.5); SeaBench (SeaLLMs 3); SEA-MTBench (SEA-HELM 1.0). A
    set of your own goes by the rules of one of them."""
    grading: list[Literal["single", "pairwise"]] = field(default_factory=list)
    """`single` grades each answer, `pairwise` compares it with the opponent's; empty = as the benchmark does."""
    opponent: str = ""
    """Pairwise: whose answers are compared with. One of the models, of the recorded `answers`, or of the answers that
    the questions come with; '' = the benchmark's."""
    languages: list[str] = field(default_factory=list)
    """Only these languages; empty = every language that is there."""
    language: str = ""
    """The language of questions that do not name theirs; '' = the benchmark's, if it has only one."""
    max_questions: int = 0
    """Most questions of each language and category, 0 = all. Chosen by the hash of their id."""
    max_new_tokens: int = 0
    """Longest answer of a model under test in tokens; 0 = the benchmark's."""
    temperatures: Literal["greedy", "published"] | dict[str, float] = "greedy"
    """Temperature of answers: `greedy`; `published`, the benchmark's own by category (MT-Bench: writing and roleplay
    0.7, stem and humanities 0.1, others 0); or a table by category, others 0. Greedy is ours, not MT-Bench's."""
    batch_size: int = 32
    """Answers written at once."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights of local models."""
    seed: int = 0
    """Seed of sampled answers and of the choice of questions."""
    judge_model: str = ""
    """What the judge is called at the endpoint; with recorded verdicts, whose verdicts count."""
    base_url: str = ""
    """An OpenAI-compatible endpoint for the judge, such as http://127.0.0.1:8000/v1."""
    key_variable: str = ""
    """Environment variable that holds the endpoint's key; '' for none. The key itself is written nowhere."""
    judge_reply: Literal["written", "likeliest"] = "written"
    """How a local judge replies: in its own words, or with the mark ([[A]], [[7]]) that it would most likely write, for
    judges too small to put a verdict into words. The latter is ours."""
    judge_temperature: float = 0.0
    """The judge's temperature, as in MT-Bench, SeaBench and SEA-HELM."""
    judge_seed: int = 1234
    """Sent with a judge's request, one more for each attempt; SEA-HELM's."""
    judge_max_tokens: int = 0
    """Longest verdict in tokens; 0 = the benchmark's."""
    judge_options: dict[str, Any] = field(default_factory=dict)
    """More fields of the request, such as `reasoning_effort` or `max_completion_tokens` (which replaces max_tokens);
    null leaves a field out."""
    judge_tries: int = 3
    """How often a verdict that cannot be read, or is refused, is asked for before it counts as failed; as SEA-HELM does
    for missing ones. A local judge that decodes greedily is asked once."""
    failures: Literal["", "left_out", "loss"] = ""
    """What a pair counts whose verdicts failed: nothing, or as lost; '' = as the benchmark does. Failed grades are
    always left out of means, and counted."""
    max_outages: float = 0.1
    """Largest share of requests that may stay unanswered; with more the stage fails, keeps its verdicts, and goes on
    when it is run again. Ours."""
    sample_prompts: int = 3
    """Questions of each language whose answers are shown side by side, with the judge's words."""
    keep_items: int = 20
    """Questions of each language kept for reading one by one; all answers and verdicts are in files of their own."""

    def __post_init__(self) -> None:
        Elsewhere.__post_init__(self)
        for name in ("max_questions", "max_new_tokens", "judge_max_tokens", "sample_prompts", "keep_items"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more")
        for name in ("batch_size", "judge_tries"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        if self.judge_temperature < 0:
            raise ValueError("judge_temperature must be 0 or more")
        if not 0 <= self.max_outages <= 1:
            raise ValueError("max_outages must be a share between 0 and 1")
        if bool(self.base_url) and not self.judge_model:
            raise ValueError("an endpoint needs `judge_model`, what the judge is called there")
        if isinstance(self.temperatures, dict) and any(value < 0 for value in self.temperatures.values()):
            raise ValueError("temperatures must be 0 or more")
        if {"messages", "model", "stream", "n"} & self.judge_options.keys():
            raise ValueError("judge_options may not replace messages, model, stream or n")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .judging.run import judge

    return judge(params, inputs, runtime)


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """Two turns of 500 tokens, and a verdict of as many on each, to each of 80 questions (MT-Bench's number) where
    theirs is not known."""
    questions = sum(fact.get("documents", 0.0) for fact in facts.get("questions", [])) or 80
    models = [fact.get("parameters", 0.0) for fact in facts.get("models", [])]
    local = sum(fact.get("parameters", 0.0) for fact in facts.get("judge", []))
    turns = 2 * questions * max(1, len(models))
    flops = 2 * 500 * 2 * questions * sum(models) + 2 * 2000 * turns * local
    width = 2 if params.dtype == "bfloat16" else 4
    return {
        "flops": flops,
        "forward_flops": flops,
        "decode_bytes": width * (500 * 2 * questions * sum(models) + 500 * turns * local) / params.batch_size,
        "number_bytes": width,
        "seconds": flops / 5e10 + (2 * turns / params.concurrency if params.base_url else 0),
        "memory_bytes": width * max([*models, local]) * 1.25,
        "disk_bytes": 8000 * turns,
    }


def reads(params: Params) -> dict[str, str]:
    """The benchmarks' rules and the judge's sentences, and language profiles of one's own."""
    return {"benchmarks": digest_resources("sampan.evals.judging", "benchmarks")} | reads_own_profiles()


STAGE = Stage(
    name="evals.judge",
    revision=2,
    summary="Chat benchmarks (MT-Bench, Sea-bench, SeaBench, SEA-MTBench), answered in turns and graded by a judge.",
    params=Params,
    inputs={
        "questions": Role(kinds=("conversations",), help="questions in a published shape, or conversations", many=True),
        "models": Role(kinds=("checkpoint",), help="the chat models to judge", many=True, required=False),
        "answers": Role(
            kinds=("scores",), help="recorded answers of more models, in FastChat's shape", many=True, required=False
        ),
        "references": Role(kinds=(), help="reference answers, in FastChat's shape", many=True, required=False),
        "prompts": Role(kinds=(), help="the published judge's prompts, in FastChat's shape", required=False),
        "judge": Role(kinds=("checkpoint",), help="a local chat model as the judge", required=False),
        "verdicts": Role(
            kinds=("scores",),
            help="what evals.judge made before: its verdicts are not asked for again, or alone they are replayed",
            many=True,
            required=False,
        ),
    },
    output="scores",
    run=run,
    estimate=estimate,
    reads=reads,
    heavy=True,
    example="""\
sampan do evals.judge --from questions=question.jsonl --from models=CHAT --with benchmark=mt_bench \\
  --with base_url=https://api.openai.com/v1 --with judge_model=MODEL --with key_variable=OPENAI_API_KEY --out judged
sampan do evals.judge --from questions=question.jsonl --from models=CHAT --from judge=OTHER \\
  --with benchmark=sea_bench --out judged
sampan do evals.judge --from questions=question.jsonl --from models=CHAT --from verdicts=judged \\
  --with benchmark=mt_bench --out again""",
    paper="MT-Bench (arXiv:2306.05685); Sea-bench (SeaLLMs, arXiv:2312.00738); SeaBench (arXiv:2502.06298); SEA-HELM "
    "(arXiv:2502.14301)",
)
