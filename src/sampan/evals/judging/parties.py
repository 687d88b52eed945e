"""Who takes part: the judge, the models with their answers, and the opponent of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...core.errors import RecipeError, did_you_mean
from ...core.identity import digest_value
from ...core.stage import Inputs, Runtime
from .answers import Answering, Contestant, answer, answer_at
from .benchmark import Benchmark
from .judges import CheckpointJudge, EndpointJudge, Judge, LikeliestJudge, Sampling
from .questions import ChatQuestion, read_answers

if TYPE_CHECKING:
    from ..judge import Params

WHERE = "evals.judge"


def the_judge(params: Params, rules: Benchmark, inputs: Inputs, runtime: Runtime) -> Judge | None:
    """Whoever judges, None if a record is to do it alone; RecipeError if there is nobody, or more than one."""
    sampling = Sampling(
        temperature=params.judge_temperature,
        max_tokens=params.judge_max_tokens or rules.judge_max_tokens,
        seed=params.judge_seed,
        options=params.judge_options,
    )
    local = inputs.optional("judge")
    if local and params.base_url:
        raise RecipeError("there are two judges, `judge` and `base_url`", where=WHERE, how="Give one of them.")
    if params.judge_reply == "likeliest":
        if not local:
            raise RecipeError(
                "only a local judge can tell its likeliest reply", where=WHERE, how="Give the input `judge`."
            )
        return LikeliestJudge(local, runtime, dtype=params.dtype)
    if local:
        return CheckpointJudge(local, sampling, runtime, dtype=params.dtype, batch_size=params.batch_size)
    if params.base_url:
        return EndpointJudge(params.endpoint(params.base_url, params.judge_model, params.key_variable), sampling)
    if inputs.many("verdicts"):
        return None
    raise RecipeError(
        "there is no judge",
        where=WHERE,
        how="Give `base_url` and `judge_model` of an OpenAI-compatible endpoint, a checkpoint as the input `judge`, or "
        "recorded `verdicts`.",
    )


def contestants(
    params: Params, rules: Benchmark, inputs: Inputs, questions: Sequence[ChatQuestion], runtime: Runtime
) -> list[Contestant]:
    """Everyone under test with their answers: checkpoints, models behind an endpoint, then recorded ones."""
    table = rules.temperatures if params.temperatures == "published" else params.temperatures
    table = {} if isinstance(table, str) else table
    how = Answering(
        temperature=lambda category: table.get(category, 0.0),
        max_new_tokens=params.max_new_tokens or rules.max_new_tokens,
        batch_size=params.batch_size,
        dtype=params.dtype,
        seed=params.seed,
        options=params.answer_options,
    )
    models = inputs.many("models")
    everyone = len(models) + len(params.answer_models)
    total, done = everyone * sum(len(question.turns) for question in questions), 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        runtime.progress(done, total, "answers")

    found = [answer(model, questions, how, runtime, progress) for model in models]
    for name in params.answer_models:
        most = params.max_outages
        found.append(answer_at(params.answering(name), questions, how, runtime, progress, max_outages=most))
    for name, answers in read_answers(inputs.many("answers")).items():
        texts = tuple(answers.of(question)[: len(question.turns)] for question in questions)
        found.append(Contestant(name, digest_value(texts), texts))
    names = [one.name for one in found]
    if not found:
        raise RecipeError("there is nobody to judge", where=WHERE, how="Give `models`, `answer_models`, or `answers`.")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RecipeError(f"two models are called '{twice}'", where=WHERE, how="Rename one of them.")
    return found


def the_opponent(
    params: Params,
    rules: Benchmark,
    questions: Sequence[ChatQuestion],
    everyone: Sequence[Contestant],
    runtime: Runtime,
) -> Contestant | None:
    """Whose answers pairs are compared with; None without pairs, or if a benchmark's own opponent is not there and
    grades are given anyway."""
    if "pairwise" not in (params.grading or rules.grading):
        return None
    name = params.opponent or rules.opponent
    known = {one.name: one for one in everyone}
    if name in known:
        return known[name]
    texts = tuple(question.recorded.get(name, ()) for question in questions)
    if any(texts):
        return Contestant(name, digest_value(texts), texts)
    if not params.opponent and not params.grading and "single" in rules.grading:
        runtime.log(f"no answers of {name} are here, so answers are graded but not compared")
        return None
    names = sorted({*known, *(model for question in questions for model in question.recorded)})
    raise RecipeError(
        f"there are no answers of the opponent '{name}'" if name else "pairs need an opponent",
        where="opponent",
        how=f"Name a model with answers. {did_you_mean(name, names)}".strip(),
    )
