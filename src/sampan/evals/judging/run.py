"""The whole of `evals.judge`: questions, answers, requests, verdicts, and what is written of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...core.errors import RecipeError, StageError, did_you_mean
from ...core.identity import digest_value
from ...core.stage import Inputs, Runtime
from ...lang.codes import normalise_code
from ...model.endpoint import Endpoint, Reply
from .answers import Answering, Contestant, answer, answer_at, check_chats
from .benchmark import Benchmark, Message, Wording, load_benchmark, load_templates
from .judges import CheckpointJudge, EndpointJudge, Judge, Record, RecordJudge, Sampling, ask_all
from .questions import ChatQuestion, read_answers, read_questions, thinned
from .result import Result
from .tables import Judged
from .verdicts import FAILED, grade, outcome, place, settled
from .writing import write

if TYPE_CHECKING:
    from ..judge import Params

WHERE = "evals.judge"


@dataclass(frozen=True, slots=True)
class Asked:
    """One turn of one model before the judge: digests of what it reads, with the model shown first and second."""

    contestant: Contestant
    number: int
    turn: int
    opponent: str
    keys: tuple[str, ...]


def judge(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Answer, ask the judge, write scores, tables, pictures and records into `runtime.out`; returns counts."""
    rules = load_benchmark(params.benchmark)
    questions = _questions(params, rules, inputs)
    wording = Wording(rules, load_templates(rules, inputs.optional("prompts")), "prompts")
    check_chats([*inputs.many("models"), *inputs.many("judge")])
    source = _judge(params, rules, inputs, runtime)
    record = Record(runtime.state, inputs.many("verdicts"), source or params.judge_model)
    if source and inputs.many("verdicts"):
        runtime.log(f"{record.given} recorded replies are of {source.name}, asked in this way")
    most = params.max_outages if source else 1.0
    source = source or RecordJudge(record)
    contestants = _contestants(params, rules, inputs, questions, runtime)
    opponent = _opponent(params, rules, questions, contestants, runtime)
    requests, asked = _requests(params.grading or rules.grading, wording, questions, contestants, opponent)
    replies = _ask(params, rules, source, record, requests, asked, most, runtime)
    failures = params.failures or rules.failures
    judged = [_judged(item, questions, replies, rules, failures) for item in asked]
    if all(row.value is None and row.outcome in ("", FAILED) for row in judged):
        reason = next((reply.text for told in replies.values() for reply in told if reply.text), "nothing at all")
        raise StageError(
            f"the judge gave no verdict that can be read; it said: {reason[:300]}",
            where=f"{WHERE}, judge {source.name}",
            how="Look at its prompt and at `judge_options`; answers and replies are kept.",
        )
    result = Result(
        params=params,
        rules=rules,
        judge=source.name,
        how=source.how,
        questions=questions,
        contestants=contestants,
        opponent=opponent,
        judged=judged,
        replies=replies,
        failures=failures,
        wording={name: [template.system, template.user] for name, template in wording.templates.items()},
    )
    return {**write(result, runtime.out), **_spent(params, replies, record)}


def _ask(
    params: Params,
    rules: Benchmark,
    source: Judge,
    record: Record,
    requests: Mapping[str, list[Message]],
    asked: Sequence[Asked],
    max_outages: float,
    runtime: Runtime,
) -> dict[str, list[Reply]]:
    """The judge's replies to all requests."""
    pairs = {key for item in asked if item.opponent for key in item.keys}
    total, done = len(requests), 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        runtime.progress(min(done, total), total, "verdicts")

    def is_verdict(key: str, text: str) -> bool:
        return (place(text) if key in pairs else _grade(rules, text)) is not None

    try:
        return ask_all(
            source,
            record,
            requests,
            is_verdict,
            tries=params.judge_tries,
            max_outages=max_outages,
            progress=progress,
        )
    finally:
        record.close()


def _questions(params: Params, rules: Benchmark, inputs: Inputs) -> list[ChatQuestion]:
    """The questions of the wanted languages, thinned."""
    found = read_questions(
        inputs.many("questions"),
        language=params.language or rules.language,
        references=inputs.many("references"),
    )
    wanted = [normalise_code(language, where="languages") for language in params.languages]
    known = {question.language for question in found}
    for language in wanted:
        if language not in known:
            raise RecipeError(
                f"no question is in the language '{language}'", where="languages", how=did_you_mean(language, known)
            )
    return thinned([q for q in found if not wanted or q.language in wanted], params.max_questions, params.seed)


def _judge(params: Params, rules: Benchmark, inputs: Inputs, runtime: Runtime) -> Judge | None:
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
    if local:
        return CheckpointJudge(local, sampling, runtime, dtype=params.dtype, batch_size=params.batch_size)
    if params.base_url:
        endpoint = _endpoint(params, params.base_url, params.judge_model, params.key_variable)
        return EndpointJudge(endpoint, sampling)
    if inputs.many("verdicts"):
        return None
    raise RecipeError(
        "there is no judge",
        where=WHERE,
        how="Give `base_url` and `judge_model` of an OpenAI-compatible endpoint, a checkpoint as the input `judge`, or "
        "recorded `verdicts`.",
    )


def _endpoint(params: Params, url: str, model: str, key_variable: str) -> Endpoint:
    return Endpoint(
        base_url=url,
        model=model,
        key_variable=key_variable,
        timeout_seconds=params.timeout_seconds,
        tries=params.request_tries,
        retry_seconds=params.retry_seconds,
        requests_per_minute=params.requests_per_minute,
        concurrency=params.concurrency,
    )


def _contestants(
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
    )
    models = inputs.many("models")
    everyone = len(models) + len(params.answer_models)
    total, done = everyone * sum(len(question.turns) for question in questions), 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        runtime.progress(done, total, "answers")

    if models:
        import torch

        torch.set_num_threads(max(1, runtime.threads))
    found = [answer(model, questions, how, runtime, progress) for model in models]
    for name in params.answer_models:
        endpoint = _endpoint(params, params.answer_url, name, params.answer_key_variable)
        found.append(answer_at(endpoint, questions, how, runtime, progress, max_outages=params.max_outages))
    for name, answers in read_answers(inputs.many("answers")).items():
        texts = tuple(answers.of(question)[: len(question.turns)] for question in questions)
        found.append(Contestant(name, digest_value(texts), texts))
    names = [one.name for one in found]
    if not found:
        raise RecipeError("there is nobody to judge", where=WHERE, how="Give `models`, `answer_models`, or `answers`.")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RecipeError(f"two models are called '{twice}'", where=WHERE, how="Rename one of them.")
    return found


def _requests(
    grading: Sequence[str],
    wording: Wording,
    questions: Sequence[ChatQuestion],
    contestants: Sequence[Contestant],
    opponent: Contestant | None,
) -> tuple[dict[str, list[Message]], list[Asked]]:
    """What the judge reads, by digest (equal requests are one), and every turn that is asked about.

    A turn that was not answered, by the model or its opponent, is there without a request.
    """
    requests: dict[str, list[Message]] = {}

    def put(messages: list[Message]) -> str:
        key = digest_value(messages)
        requests[key] = messages
        return key

    found = []
    for contestant in contestants if "single" in grading else ():
        for number, question in enumerate(questions):
            own = contestant.answers[number]
            for turn in range(len(question.turns)):
                keys = (put(wording.single(question, turn, own)),) if turn < len(own) else ()
                found.append(Asked(contestant, number, turn, "", keys))
    for contestant in contestants if opponent and "pairwise" in grading else ():
        for number, question in enumerate(questions if contestant.name != opponent.name else ()):
            own, other = contestant.answers[number], opponent.answers[number]
            for turn in range(len(question.turns)):
                keys = ()
                if turn < min(len(own), len(other)):
                    ways = (wording.pair(question, turn, own, other), wording.pair(question, turn, other, own))
                    keys = tuple(map(put, ways))
                found.append(Asked(contestant, number, turn, opponent.name, keys))
    return requests, found


def _opponent(
    params: Params,
    rules: Benchmark,
    questions: Sequence[ChatQuestion],
    contestants: Sequence[Contestant],
    runtime: Runtime,
) -> Contestant | None:
    """Whose answers pairs are compared with; None without pairs, or if a benchmark's own opponent is not there and
    grades are given anyway."""
    if "pairwise" not in (params.grading or rules.grading):
        return None
    name = params.opponent or rules.opponent
    known = {one.name: one for one in contestants}
    if name in known:
        return known[name]
    texts = tuple(question.recorded.get(name, ()) for question in questions)
    if any(texts):
        return Contestant(name, digest_value(texts), texts)
    if not params.opponent and not params.grading and "single" in rules.grading:
        runtime.log(f"no answers of {name} are here, so answers are graded but not compared")
        return None
    everyone = sorted({*known, *(model for question in questions for model in question.recorded)})
    raise RecipeError(
        f"there are no answers of the opponent '{name}'" if name else "pairs need an opponent",
        where="opponent",
        how=f"Name a model with answers. {did_you_mean(name, everyone)}".strip(),
    )


def _judged(
    item: Asked,
    questions: Sequence[ChatQuestion],
    replies: Mapping[str, list[Reply]],
    rules: Benchmark,
    failures: str,
) -> Judged:
    """What the replies say of one turn."""
    question = questions[item.number]
    last = [replies[key][-1] for key in item.keys]
    unasked = {} if item.keys else {"reasons": ("no_answer",), "outcome": FAILED if item.opponent else ""}
    common = {
        "model": item.contestant.name,
        "opponent": item.opponent,
        "question": question,
        "turn": item.turn,
        "asked": item.keys,
        **unasked,
    }
    if unasked:
        return Judged(value=None, **common)
    if not item.opponent:
        value = None if last[0].failure else _grade(rules, last[0].text)
        reasons = () if value is not None else (last[0].failure or "malformed",)
        return Judged(value=value, reasons=reasons, said=(None if value is None else f"{value:g}",), **common)
    places = [None if reply.failure else place(reply.text) for reply in last]
    reasons = tuple(r.failure or "malformed" for r, told in zip(last, places, strict=True) if told is None)
    both = settled(outcome(places[0], True), outcome(places[1], False), failures)
    return Judged(value=None, outcome=both, reasons=reasons, said=tuple(places), **common)


def _grade(rules: Benchmark, text: str) -> float | None:
    return grade(text, *rules.scale, single_brackets=rules.single_brackets)


def _spent(params: Params, replies: Mapping[str, list[Reply]], record: Record) -> dict[str, Any]:
    """Tokens of all verdicts, and their price where it was given; None for tokens that the judge did not count."""
    every = [reply for told in replies.values() for reply in told]
    spent: dict[str, Any] = {"replies": len(every), "replies_known_before": record.given}
    for name in ("prompt_tokens", "completion_tokens"):
        counts = [getattr(reply, name) for reply in every if not reply.failure]
        spent[name] = sum(counts) if counts and None not in counts else None
    if (params.prompt_price or params.completion_price) and None not in (
        spent["prompt_tokens"],
        spent["completion_tokens"],
    ):
        read, written = (
            params.prompt_price * spent["prompt_tokens"],
            params.completion_price * spent["completion_tokens"],
        )
        spent["cost"] = round((read + written) / 1e6, 6)
    return spent
