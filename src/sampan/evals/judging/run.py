"""The whole of `evals.judge`: questions, answers, requests, verdicts, and what is written of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...core.errors import RecipeError, StageError, did_you_mean
from ...core.identity import digest_value
from ...core.stage import Inputs, Runtime
from ...lang.codes import normalise_code
from ...model.endpoint import Reply
from .answers import Contestant, check_chats
from .asking import Record, ask_all, spent
from .benchmark import Benchmark, Message, Wording, load_benchmark, load_templates
from .judges import Judge, RecordJudge, Request
from .parties import WHERE, contestants, the_judge, the_opponent
from .questions import ChatQuestion, read_questions, thinned
from .result import Result
from .tables import Judged
from .verdicts import FAILED, PLACES, grade, outcome, place, settled
from .writing import write

if TYPE_CHECKING:
    from ..judge import Params


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
    if local := [*inputs.many("models"), *inputs.many("judge")]:
        import torch

        check_chats(local)
        torch.set_num_threads(max(1, runtime.threads))
    source = the_judge(params, rules, inputs, runtime)
    record = Record(runtime.state, inputs.many("verdicts"), source or params.judge_model)
    if source and inputs.many("verdicts"):
        runtime.log(f"{record.given} recorded replies are of {source.name}, asked in this way")
    most = params.max_outages if source else 1.0
    source = source or RecordJudge(record.judges)
    everyone = contestants(params, rules, inputs, questions, runtime)
    opponent = the_opponent(params, rules, questions, everyone, runtime)
    requests, asked = _requests(params.grading or rules.grading, rules, wording, questions, everyone, opponent)
    replies = _ask(params, rules, source, record, requests, most, runtime)
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
        contestants=everyone,
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
    requests: Mapping[str, Request],
    max_outages: float,
    runtime: Runtime,
) -> dict[str, list[Reply]]:
    """The judge's replies to all requests."""
    total, done = len(requests), 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        runtime.progress(min(done, total), total, "verdicts")

    def is_verdict(key: str, text: str) -> bool:
        told = place(text) if requests[key].marks == PLACES else _grade(rules, text)
        return told is not None

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


def _requests(
    grading: Sequence[str],
    rules: Benchmark,
    wording: Wording,
    questions: Sequence[ChatQuestion],
    contestants: Sequence[Contestant],
    opponent: Contestant | None,
) -> tuple[dict[str, Request], list[Asked]]:
    """What the judge reads, by digest (equal requests are one), and every turn that is asked about.

    A turn that was not answered, by the model or its opponent, is there without a request.
    """
    requests: dict[str, Request] = {}
    grades = tuple(f"[[{number}]]" for number in range(int(rules.scale[0]), int(rules.scale[1]) + 1))

    def put(messages: list[Message], marks: tuple[str, ...]) -> str:
        key = digest_value(messages)
        requests[key] = Request(messages, marks)
        return key

    found = []
    for contestant in contestants if "single" in grading else ():
        for number, question in enumerate(questions):
            own = contestant.answers[number]
            for turn in range(len(question.turns)):
                keys = (put(wording.single(question, turn, own), grades),) if turn < len(own) else ()
                found.append(Asked(contestant, number, turn, "", keys))
    for contestant in contestants if opponent and "pairwise" in grading else ():
        for number, question in enumerate(questions if contestant.name != opponent.name else ()):
            own, other = contestant.answers[number], opponent.answers[number]
            for turn in range(len(question.turns)):
                keys = ()
                if turn < min(len(own), len(other)):
                    ways = (wording.pair(question, turn, own, other), wording.pair(question, turn, other, own))
                    keys = tuple(put(way, PLACES) for way in ways)
                found.append(Asked(contestant, number, turn, opponent.name, keys))
    return requests, found


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
    """What all verdicts took, those that were known before among them."""
    every = [reply for told in replies.values() for reply in told]
    costs = spent(every, params.prompt_price, params.completion_price)
    return {"replies": len(every), "replies_known_before": record.given, **costs}
