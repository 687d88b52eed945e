"""`synth.self_preference`: a model answers every prompt twice and states, asked in both orders, which it prefers.

SeaLLMs' self-preferencing optimisation (arXiv:2312.00738, section 3.3): no stronger model labels the data, and a
verdict that changes when the answers change places is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from ..core.errors import RecipeError, did_you_mean
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import reads_own_profiles

CRITERIA = (
    "The better answer does what was asked, is correct, is written in the language of the question, reads naturally to "
    "a native speaker, is safe, and says no more than is useful. Length alone is no merit."
)
TEMPLATE = """{criteria}

[Question]
{question}

[Answer {label_a}]
{answer_a}

[Answer {label_b}]
{answer_b}

Which answer is better? Reply with one letter only: {label_a} or {label_b}."""
PLACES = ("{question}", "{answer_a}", "{answer_b}")


@params
class Params:
    temperature: float = 0.8
    """Sampling temperature of the two answers. Ours, not the paper's (unpublished)."""
    top_p: float = 0.95
    """Probability mass that is sampled from. Ours, not the paper's (unpublished)."""
    max_new_tokens: int = 256
    """Longest answer in tokens; one that has not ended by then is dropped."""
    judge_template: str = TEMPLATE
    """The judge's question, with {question}, {answer_a}, {answer_b} and, if wanted, {criteria}, {label_a}, {label_b}.
    Ours, not the paper's (unpublished)."""
    criteria: str = CRITERIA
    """What makes an answer better. Ours, not the paper's (unpublished)."""
    verdict_labels: tuple[str, str] = ("A", "B")
    """The two replies whose probabilities are compared, for the answer shown first and second."""
    by_language: dict[str, dict[str, str]] = field(default_factory=dict)
    """Native phrasing: language code to `judge_template` and/or `criteria` used for prompts in it."""
    require_script: bool = True
    """Drop an answer that is not mostly in the script of its prompt's language."""
    min_script_share: float = 0.5
    """Least share of an answer's letters in that script. Ours, not the paper's."""
    max_prompts: int = 0
    """Use only the first so many prompts, 0 = all."""
    batch_size: int = 32
    """Answers that are sampled at once."""
    batch_tokens: int = 2048
    """Most tokens in a batch that is judged."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights while answering and judging."""
    seed: int = 0
    """Seed of the samples; each prompt draws from a stream of its own."""

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError("temperature must be above 0: two greedy answers are always equal")
        if not 0 < self.top_p <= 1:
            raise ValueError("top_p must be above 0 and at most 1")
        if min(self.max_new_tokens, self.batch_size, self.batch_tokens) < 1:
            raise ValueError("max_new_tokens, batch_size and batch_tokens must be 1 or more")
        if self.verdict_labels[0].strip() == self.verdict_labels[1].strip() or not all(
            map(str.strip, self.verdict_labels)
        ):
            raise ValueError("verdict_labels must be two different words")
        object.__setattr__(self, "by_language", _by_code(self.by_language))
        for code, phrasing in self.by_language.items():
            for key in phrasing:
                if key not in ("judge_template", "criteria"):
                    hint = did_you_mean(key, ("judge_template", "criteria"))
                    raise ValueError(f"by_language.{code} has no '{key}'. {hint}")
        for template in (self.judge_template, *(p.get("judge_template", TEMPLATE) for p in self.by_language.values())):
            if missing := [place for place in PLACES if place not in template]:
                raise ValueError(f"a judge template lacks {', '.join(missing)}")


def _by_code(given: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The same by full language code (th is tha_Thai), as prompts are looked up; ValueError if unknown or twice."""
    from ..lang.codes import normalise_code

    found: dict[str, dict[str, str]] = {}
    for language, phrasing in given.items():
        try:
            code = normalise_code(language)
        except RecipeError as error:
            raise ValueError(f"by_language: {error}") from None
        if code in found:
            raise ValueError(f"by_language names {code} twice")
        found[code] = phrasing
    return found


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .preference_pairs import make_pairs

    return make_pairs(params, inputs, runtime)


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """2 FLOPs per parameter and token: two answers of half the longest length, then two verdicts over both answers."""
    prompts = sum(fact.get("documents", 0.0) for fact in facts.get("prompts", []))
    prompts = min(prompts, params.max_prompts) if params.max_prompts else prompts
    model = sum(fact.get("parameters", 0.0) for fact in facts.get("model", []))
    judge = sum(fact.get("parameters", 0.0) for fact in facts.get("judge", [])) or model
    answers = prompts * params.max_new_tokens
    width = 2 if params.dtype == "bfloat16" else 4
    kept = {"documents": prompts, "tokens": float(answers)}  # at most
    return {
        **kept,
        "flops": 2 * answers * model + 4 * answers * judge,
        "forward_flops": 4 * answers * judge,
        "decode_bytes": answers / params.batch_size * width * model,
        "number_bytes": width,
        "memory_bytes": 1.25 * width * max(model, judge),
    }


def check_facts(params: Params, facts: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """RecipeError if an answer leaves no room for a prompt in the model's window, where that is known."""
    window = (facts.get("model") or [{}])[0].get("window")
    if window and params.max_new_tokens >= window:
        raise RecipeError(
            f"max_new_tokens = {params.max_new_tokens} leaves no room for a prompt in a window of {window:.0f} tokens",
            how=f"Give at most {window - 1:.0f}, and less than that by the length of the prompts.",
        )


STAGE = Stage(
    name="synth.self_preference",
    revision=3,
    summary="Preference pairs that a model makes for itself: two sampled answers, judged in both orders.",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the chat model that answers"),
        "prompts": Role(
            kinds=("conversations",), help="conversations; a trailing assistant turn is dropped", many=True
        ),
        "judge": Role(kinds=("checkpoint",), help="another chat model that judges", required=False),
    },
    output="preferences",
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    check_facts=check_facts,
    heavy=True,
    spreads=True,
    paper="SeaLLMs (arXiv:2312.00738), section 3.3; in the spirit of self-rewarding models (arXiv:2401.10020).",
)
