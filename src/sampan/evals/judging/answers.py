"""What the models under test say to the questions: turn by turn, each seeing its own earlier answers."""

from __future__ import annotations

import gc
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ...core.identity import digest_value
from ...core.stage import Artifact, Runtime
from ...model.endpoint import Endpoint
from ..resume import kept
from .asking import Record, ask_all
from .judges import EndpointJudge, Request, Sampling
from .questions import ChatQuestion

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from ...model.generate import Decoding


@dataclass(frozen=True, slots=True)
class Contestant:
    """A model with its answers: one tuple of turns for each question, in the questions' order, () where it has none."""

    name: str
    digest: str
    answers: tuple[tuple[str, ...], ...]
    cut_prompts: int = 0
    """Prompts that lost their beginning because the window was too short."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Answers that an endpoint did not give, by reason; the turns after them were not asked."""


@dataclass(frozen=True, kw_only=True)
class Answering:
    """How answers are made. `temperature` gives each category's; 0 is greedy."""

    temperature: Callable[[str], float]
    max_new_tokens: int
    batch_size: int
    dtype: str
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the requests to an endpoint."""


def check_chats(models: Sequence[Artifact]) -> None:
    """InputError for a model without a chat template, before anything is loaded or asked."""
    from ...model.tokenizer import load_tokenizer

    for model in models:
        if not load_tokenizer(model.path).chat_template:
            raise InputError(
                "this model has no chat template, and a chat benchmark asks in turns",
                where=model.name,
                how="Leave base models out, or set `chat_template` where the model or tokenizer is made or imported.",
            )


def answer(
    artifact: Artifact,
    questions: Sequence[ChatQuestion],
    how: Answering,
    runtime: Runtime,
    progress: Callable[[int], None],
) -> Contestant:
    """The checkpoint's answers; finished turns of an earlier, killed attempt are read back."""
    replies: list[list[str]] = [[] for _ in questions]
    loaded: list[Any] = []
    cut = 0
    for turn in range(max(len(question.turns) for question in questions)):

        def work(turn: int = turn) -> Mapping[str, Any]:
            if not loaded:
                loaded.extend(_load(artifact, how, runtime))
            return _turn(*loaded, questions, replies, turn, how, progress)

        state = runtime.state / f"answers-{digest_value([artifact.digest, turn])[:16]}.json"
        found = kept(state, work)
        cut += found["cut"]
        for number, text in found["texts"]:
            replies[number].append(text)
    loaded.clear()
    gc.collect()
    return Contestant(artifact.name, artifact.digest, tuple(map(tuple, replies)), cut)


def answer_at(
    endpoint: Endpoint,
    questions: Sequence[ChatQuestion],
    how: Answering,
    runtime: Runtime,
    progress: Callable[[int], None],
    *,
    max_outages: float,
) -> Contestant:
    """The answers of a model behind an endpoint, each kept as it comes. A question whose answer fails ends there."""
    replies: list[list[str]] = [[] for _ in questions]
    failed: Counter[str] = Counter()
    record = Record(runtime.state / f"answers-{digest_value(endpoint.model)[:16]}", [], None)
    try:
        for turn in range(max(len(question.turns) for question in questions)):
            groups: dict[float, dict[int, list[dict[str, str]]]] = defaultdict(dict)
            for number, question in enumerate(questions):
                if len(question.turns) > turn and len(replies[number]) == turn:
                    talk = messages_so_far(question, replies[number], turn)
                    groups[how.temperature(question.category)][number] = talk
            for temperature, talks in sorted(groups.items()):
                sampling = Sampling(
                    temperature=temperature, max_tokens=how.max_new_tokens, seed=how.seed, options=how.options
                )
                keys = {number: digest_value([temperature, talk]) for number, talk in talks.items()}
                found = ask_all(
                    EndpointJudge(endpoint, sampling),
                    record,
                    {keys[number]: Request(talk) for number, talk in talks.items()},
                    lambda key, text: True,
                    tries=1,
                    max_outages=max_outages,
                    progress=progress,
                )
                for number, key in keys.items():
                    reply = found[key][-1]
                    if reply.failure:
                        failed[reply.failure] += 1
                    else:
                        replies[number].append(reply.text.strip())
    finally:
        record.close()
    answers = tuple(map(tuple, replies))
    return Contestant(endpoint.model, digest_value(answers), answers, 0, dict(sorted(failed.items())))


def _load(artifact: Artifact, how: Answering, runtime: Runtime) -> tuple[Any, Any]:
    from ...model.checkpoint import load_model
    from ...model.tokenizer import load_tokenizer

    return load_model(artifact.path, dtype=how.dtype, device=runtime.device), load_tokenizer(artifact.path)


def _turn(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[ChatQuestion],
    replies: Sequence[Sequence[str]],
    turn: int,
    how: Answering,
    progress: Callable[[int], None],
) -> dict[str, Any]:
    """{"texts": [(question's number, answer)], "cut": prompts that were too long}; equal temperatures together."""
    from ...model.chat import prompt_ids
    from ...model.generate import Decoding, prompt_room

    groups: dict[float, list[int]] = defaultdict(list)
    for number, question in enumerate(questions):
        if len(question.turns) > turn:
            groups[how.temperature(question.category)].append(number)
    texts, cut = {}, 0
    for temperature, numbers in sorted(groups.items()):
        decoding = Decoding(max_new_tokens=how.max_new_tokens, temperature=temperature, seed=how.seed)
        prompts = [prompt_ids(tokenizer, messages_so_far(questions[n], replies[n], turn)) for n in numbers]
        room = prompt_room(model, decoding)
        cut += sum(len(ids) > room for ids in prompts)
        streams = [_stream(questions[n], turn) for n in numbers]
        made = _generate(model, tokenizer, prompts, decoding, streams, how.batch_size)
        texts |= dict(zip(numbers, made, strict=True))
        progress(len(numbers))
    return {"texts": sorted(texts.items()), "cut": cut}


def messages_so_far(question: ChatQuestion, replies: Sequence[str], turn: int) -> list[dict[str, str]]:
    """The conversation up to the user's `turn` (from 0), with the model's own replies."""
    messages = [{"role": "system", "content": question.system}] if question.system else []
    for number in range(turn + 1):
        messages.append({"role": "user", "content": question.turns[number]})
        if number < turn:
            messages.append({"role": "assistant", "content": replies[number]})
    return messages


def _generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[list[int]],
    decoding: Decoding,
    streams: list[int],
    batch_size: int,
) -> list[str]:
    from ...model.generate import generate
    from ...model.stopping import end_ids

    ends = end_ids(model, tokenizer)
    ids = generate(model, prompts, decoding, stop_ids=ends, streams=streams, batch_size=batch_size)
    return [tokenizer.decode(row, skip_special_tokens=True).strip() for row in ids]


def _stream(question: ChatQuestion, turn: int) -> int:
    """The number of a question's random stream: its own, whatever else is asked."""
    text = f"{question.language}\0{question.id}\0{turn}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
