"""Judges behind one call: an endpoint, a checkpoint that writes or weighs, or nobody but a record."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ...core.errors import InputError
from ...core.identity import digest_value
from ...core.stage import Artifact, Runtime
from ...model.endpoint import Client, Endpoint, Reply

Message = dict[str, str]
NOT_RECORDED = "not_recorded"


@dataclass(frozen=True, slots=True)
class Request:
    """What is read, and the `marks` of which the reply is to hold one."""

    messages: list[Message]
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a judge is asked to write."""

    temperature: float
    max_tokens: int
    seed: int
    options: Mapping[str, Any]


class Judge(Protocol):
    """Whoever replies. `name` and `how` identify it in records: who, and how asked to write. `again` says whether
    another attempt can give another reply."""

    name: str
    how: Mapping[str, Any]
    again: bool

    def replies(self, asked: Sequence[Request], attempt: int, on_reply: Callable[[int, Reply], None]) -> None:
        """`on_reply(number, reply)` for every request, in any order."""


def with_options(body: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """A request's body with more fields: None leaves one out, and `max_completion_tokens` stands for `max_tokens`."""
    whole = {**body, **options}
    if "max_completion_tokens" in options:
        del whole["max_tokens"]
    return {name: value for name, value in whole.items() if value is not None}


class EndpointJudge:
    """A model behind an OpenAI-compatible server."""

    again = True

    def __init__(self, endpoint: Endpoint, sampling: Sampling) -> None:
        self.name, self.how, self._sampling = endpoint.model, asdict(sampling), sampling
        self._client = Client(endpoint)

    def replies(self, asked: Sequence[Request], attempt: int, on_reply: Callable[[int, Reply], None]) -> None:
        self._client.ask_all([self._body(request.messages, attempt) for request in asked], on_reply)

    def _body(self, messages: list[Message], attempt: int) -> dict[str, Any]:
        how = self._sampling
        body = {
            "messages": messages,
            "temperature": how.temperature,
            "max_tokens": how.max_tokens,
            "seed": how.seed + attempt - 1,
        }
        return with_options(body, how.options)


class CheckpointJudge:
    """A local chat model. A prompt that its window does not hold fails; it is never cut."""

    def __init__(
        self, artifact: Artifact, sampling: Sampling, runtime: Runtime, *, dtype: str, batch_size: int
    ) -> None:
        self.name, self.how = f"{artifact.name} ({artifact.digest[:12]})", asdict(sampling)
        self.again = sampling.temperature > 0
        self._path, self._sampling, self._runtime = artifact.path, sampling, runtime
        self._dtype, self._batch_size, self._loaded = dtype, batch_size, None

    def replies(self, asked: Sequence[Request], attempt: int, on_reply: Callable[[int, Reply], None]) -> None:
        from ...model.chat import prompt_ids
        from ...model.checkpoint import load_model
        from ...model.generate import Decoding, generate, prompt_room
        from ...model.stopping import end_ids
        from ...model.tokenizer import load_tokenizer

        if self._loaded is None:
            model = load_model(self._path, dtype=self._dtype, device=self._runtime.device)
            self._loaded = model, load_tokenizer(self._path)
        model, tokenizer = self._loaded
        how = self._sampling
        decoding = Decoding(max_new_tokens=how.max_tokens, temperature=how.temperature, seed=how.seed + attempt - 1)
        prompts = [prompt_ids(tokenizer, request.messages) for request in asked]
        room = prompt_room(model, decoding)
        fits = [number for number, ids in enumerate(prompts) if len(ids) <= room]
        for number in sorted(set(range(len(prompts))) - set(fits)):
            on_reply(number, Reply(f"{len(prompts[number])} tokens, and the window has room for {room}", "too_long"))
        for start in range(0, len(fits), self._batch_size):  # kept piece by piece
            piece = fits[start : start + self._batch_size]
            ids = generate(
                model,
                [prompts[number] for number in piece],
                decoding,
                stop_ids=end_ids(model, tokenizer),
                streams=[int(digest_value(asked[number].messages)[:12], 16) for number in piece],
                batch_size=self._batch_size,
            )
            for number, row in zip(piece, ids, strict=True):
                text = tokenizer.decode(row, skip_special_tokens=True)
                on_reply(number, Reply(text, "", len(prompts[number]), len(row)))


class LikeliestJudge:
    """A local chat model whose reply is the mark that it would most likely write."""

    again = False

    def __init__(self, artifact: Artifact, runtime: Runtime, *, dtype: str) -> None:
        self.name, self.how = f"{artifact.name} ({artifact.digest[:12]})", {"reply": "likeliest"}
        self._path, self._runtime, self._dtype = artifact.path, runtime, dtype

    def replies(self, asked: Sequence[Request], attempt: int, on_reply: Callable[[int, Reply], None]) -> None:
        from ...model.checkpoint import load_model
        from ...model.choosing import reply_logprobs
        from ...model.tokenizer import load_tokenizer

        model = load_model(self._path, dtype=self._dtype, device=self._runtime.device)
        tokenizer = load_tokenizer(self._path)
        for marks in dict.fromkeys(request.marks for request in asked):
            numbers = [number for number, request in enumerate(asked) if request.marks == marks]
            found = reply_logprobs(model, tokenizer, [asked[number].messages for number in numbers], marks)
            for number, logprobs in zip(numbers, found, strict=True):
                if logprobs is None:
                    on_reply(number, Reply("the window does not hold the prompt", "too_long"))
                else:
                    on_reply(number, Reply(marks[max(range(len(marks)), key=logprobs.__getitem__)]))


class RecordJudge:
    """Nobody: only what was recorded counts, of the one judge that it is of."""

    again = True

    def __init__(self, judges: Collection[str]) -> None:
        """`judges` are those of a record, each as JSON of {"judge", "how"}."""
        if len(judges) != 1:
            known = "; ".join(sorted(judges))
            raise InputError(
                f"the recorded verdicts are of several judges: {known}" if known else "no recorded verdict is there",
                where="verdicts",
                how="Say with `judge_model` whose verdicts count, or give those of one way of asking it.",
            )
        told = json.loads(next(iter(judges)))
        self.name, self.how = told["judge"], told["how"]

    def replies(self, asked: Sequence[Request], attempt: int, on_reply: Callable[[int, Reply], None]) -> None:
        for number in range(len(asked)):
            on_reply(number, Reply("", NOT_RECORDED))
