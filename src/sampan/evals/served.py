"""A model behind an OpenAI-compatible endpoint, examined as a checkpoint is: same questions, same marks.

Messages go to its chat API and plain prompts to its completions. What is asked by likelihood goes there as token ids,
so that a choice begins where it begins for a checkpoint; that takes the model's own tokenizer and a server that gives
the log-probabilities of a prompt (vLLM, `sampan serve`). Every reply is written down as it comes and not asked again.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, StageError
from ..core.identity import digest_value
from ..core.stage import Artifact, Inputs
from ..model.encoding import Prompt, encode_prompt
from ..model.endpoint import Client, Reply
from ..model.scoring import Likelihood, Pair
from .bits_per_byte import document_bits
from .examinee import Ending, Written
from .judging.asking import Record, ask_all, reply_rows, spent
from .judging.judges import with_options
from .team import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from .run import Params

MOST_STOPS = 4
"""Stop strings that OpenAI's API takes; what follows others is cut off afterwards."""
_SENTENCE = "Boats carry 1,250 fish. ข้าวสุกแล้ว Lúa chín 稻子熟了"
"""Words that two tokenizers rarely cut into as many tokens."""


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A request, and for a pair how many of its last tokens are scored."""

    body: Mapping[str, Any]
    scored: int = 0

    def read(self, reply: Reply) -> Reply:
        """Of a scored prompt's reply only the sum is kept."""
        if not self.scored or reply.failure:
            return reply
        return dataclasses.replace(reply, text=repr(math.fsum(json.loads(reply.text)[-self.scored :])))


class Served:
    """One of `answer_models`. `recorded` are results of earlier runs, whose replies are not asked for again."""

    chats = again = True
    how: Mapping[str, Any] = {}
    """Nothing beside the request itself decides a reply."""

    def __init__(
        self,
        params: Params,
        name: str,
        state: Path,
        recorded: Sequence[Artifact],
        tokenizer: PreTrainedTokenizerFast | None,
    ) -> None:
        self.name, self.digest = name, digest_value({"model": name, "url": params.answer_url})
        self._params, self.tokenizer = params, tokenizer
        self._client = Client(params.answering(name))
        self._state, self._recorded = state / f"replies-{self.digest[:16]}", recorded
        self._record: Record | None = None
        self._replies: dict[str, list[Reply]] = {}
        self._failed: Counter[str] = Counter()

    def check_likelihoods(self, tasks: Sequence[str]) -> None:
        """InputError that names the `tasks`, which are asked by likelihood, unless they can be asked there."""
        said, where = f"{', '.join(tasks)} cannot be asked there", self._params.answer_url
        if self.tokenizer is None:
            raise InputError(
                f"{said}: they are asked by the likelihood of given words, which takes the model's tokenizer",
                where=where,
                how="Give its folder as the input `tokenizer`, or leave them out.",
            )
        ids = encode_prompt(self.tokenizer, _SENTENCE)
        try:
            reply = self._client.ask({"prompt": _SENTENCE, "max_tokens": 1})
        except InputError as error:  # a server that only chats has no completions
            raise InputError(f"{said}: {error.what}", where=where, how=error.how) from None
        if reply.prompt_tokens is not None and abs(reply.prompt_tokens - len(ids)) > 1:
            raise InputError(
                f"{said}: `tokenizer` is not that of {self.name} ({len(ids)} tokens for a sentence that is "
                f"{reply.prompt_tokens} there)",
                where=where,
            )
        reply = self._client.ask(_scored_body(ids[:8]))
        if reply.failure:
            raise InputError(
                f"{said}: {reply.text}",
                where=where,
                how="vLLM and `sampan serve` say how likely a prompt is (`echo` with `logprobs`), many servers do not. "
                "Leave these tasks out.",
            )

    def likelihoods(self, pairs: Sequence[Pair], progress: Progress) -> list[Likelihood]:
        asked = [_Asked(_scored_body(context + rest), len(rest)) for context, rest in pairs]
        found = []
        for (_, rest), reply in zip(pairs, self._ask(asked, progress), strict=True):
            if reply.failure:
                raise StageError(
                    f"no log-probability of {len(rest)} tokens: {reply.text}",
                    where=f"{self.name} at {self._params.answer_url}",
                    how="Give the server a longer window, or set a smaller `context_len` for held-out text.",
                )
            found.append(Likelihood(float(reply.text), len(rest), False))
        return found

    def bits(self, texts: Sequence[str], progress: Progress) -> list[float]:
        def score(pairs: Sequence[Pair]) -> list[Likelihood]:
            return self.likelihoods(pairs, progress)

        return document_bits(score, self.tokenizer, texts, context_len=self._params.context_len)

    def answers(self, prompts: Sequence[Prompt], endings: Sequence[Ending], progress: Progress) -> list[Written]:
        """As a checkpoint's. An answer that the server refuses, or has no room for, is empty and counted."""
        asked = []
        for prompt, ending in zip(prompts, endings, strict=True):
            ends = [stop for stop in ending.stops if stop][:MOST_STOPS]
            body = {"prompt": prompt} if isinstance(prompt, str) else {"messages": prompt}
            body |= {"temperature": 0.0, "max_tokens": self._params.max_new_tokens or ending.max_new_tokens}
            body |= {"stop": ends} if ends else {}
            asked.append(_Asked(with_options(body, self._params.answer_options)))
        replies = self._ask(asked, progress)
        self._failed.update(reply.failure for reply in replies if reply.failure)
        return [Written("" if reply.failure else reply.text, reply.at_limit) for reply in replies]

    def told(self) -> dict[str, Any]:
        """Answers that failed, by reason; tokens and their price; the replies' rows."""
        if self._record is not None:
            self._record.close()
        every = [reply for told in self._replies.values() for reply in told]
        costs = spent(every, self._params.prompt_price, self._params.completion_price)
        known = self._record.given if self._record else 0
        return {
            "failed": dict(sorted(self._failed.items())),
            "spent": {"replies": len(every), "replies_known_before": known, **costs},
            "replies": list(reply_rows(self.name, self.how, self._replies)),
        }

    def replies(self, asked: Sequence[_Asked], attempt: int, on_reply: Callable[[int, Reply], None]) -> None:
        """As a judge's (see `judging.judges.Judge`)."""
        self._client.ask_all([each.body for each in asked], lambda n, reply: on_reply(n, asked[n].read(reply)))

    def _ask(self, asked: Sequence[_Asked], progress: Progress) -> list[Reply]:
        """The reply to each; equal requests are one. StageError for the first that nobody answers."""
        if self._record is None:
            self._record = Record(self._state, self._recorded, self)
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            progress(done, len(asked))

        keys = [digest_value([dict(each.body), each.scored]) for each in asked]
        found = ask_all(
            self,
            self._record,
            dict(zip(keys, asked, strict=True)),
            lambda key, text: True,
            tries=1,
            max_outages=0.0,
            progress=tell,
        )
        self._replies |= found
        return [found[key][-1] for key in keys]


def _scored_body(ids: Sequence[int]) -> dict[str, Any]:
    """Asks how likely each of `ids` is; a token is written as well, since not every server knows how to write none."""
    return {"prompt": list(ids), "max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}


def served_models(params: Params, inputs: Inputs, state: Path, by_likelihood: Sequence[str]) -> list[Served]:
    """Everyone behind the endpoint, after a look whether they can be asked; `by_likelihood` are the tasks that ask for
    log-probabilities."""
    from ..model.tokenizer import load_tokenizer

    folder = inputs.optional("tokenizer") if params.answer_models else None
    tokenizer = folder and load_tokenizer(folder.path)
    found = [Served(params, name, state, inputs.many("replies"), tokenizer) for name in params.answer_models]
    for each in found:
        if by_likelihood:
            each.check_likelihoods(by_likelihood)
    return found
