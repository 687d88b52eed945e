"""Greedy answers to `generate` items and to the prompts that are kept for reading, each prompt answered once."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..artifacts.documents import Document
from ..artifacts.items import Item
from ..core.identity import digest_value
from ..model.chat import stop_ids
from ..model.encoding import Prompt, encode_prompt
from ..model.generate import Decoding, generate
from .answers import cut
from .groups import Group
from .team import PROMPTS, Progress, whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

OPENING_CHARS = 80
"""Longest opening of a held-out document that serves as a sample prompt; ours."""
EXPECTED_CHARS = 400
"""Most that is shown of how the document really went on."""


@dataclass(frozen=True)
class Question:
    """A prompt to be answered freely."""

    task: str
    language: str
    prompt: Prompt
    expected: str
    stop: tuple[str, ...] = ()

    @classmethod
    def of(cls, group: Group, item: Item) -> Question:
        expected = item.choices[0] if group.type == "preference" else item.answer or item.pattern
        return cls(group.task, group.language, item.prompt, expected, tuple(item.meta.get("stop", ())))

    @property
    def key(self) -> str:
        return digest_value(self.prompt)


class Outputs:
    """What one model wrote, by prompt."""

    def __init__(self, by_key: Mapping[str, str]) -> None:
        self._by_key = by_key

    def text(self, question: Question) -> str:
        """The answer up to the question's stops."""
        return cut(self._by_key[question.key], list(question.stop))

    def answer(self, item: Item) -> str:
        """What was written to the item, up to its stops."""
        return cut(self._by_key[digest_value(item.prompt)], item.meta.get("stop", []))


def answer_all(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[Question],
    *,
    max_new_tokens: int,
    batch_size: int = 32,
    progress: Progress = lambda done, total: None,
    cut: Callable[..., list] = whole,
) -> Outputs:
    """Greedy answers, equal prompts answered once."""
    prompts = {question.key: question.prompt for question in questions}

    def write(piece: Sequence[list[int]], start: int, progress: Progress) -> list[list[int]]:
        decoding = Decoding(max_new_tokens=max_new_tokens)
        ends = stop_ids(tokenizer)
        return generate(model, piece, decoding, stop_ids=ends, batch_size=batch_size, progress=progress)

    ids = cut([encode_prompt(tokenizer, prompt) for prompt in prompts.values()], PROMPTS, write, progress)
    texts = [tokenizer.decode(row, skip_special_tokens=True) for row in ids]
    return Outputs(dict(zip(prompts, texts, strict=True)))


def sample_questions(
    groups: Sequence[Group], documents: Mapping[str, Sequence[Document]], count: int, seed: int
) -> list[Question]:
    """At most `count` prompts per language: of generate items first, then of preference pairs, then openings of text.

    They are chosen by hash and do not depend on any model, so that answers can be read side by side.
    """
    pools: dict[str, list[list[Question]]] = {}
    for rank, kind in enumerate(("generate", "preference")):
        for group in groups:
            if group.type == kind:
                pool = pools.setdefault(group.language, [[], [], []])[rank]
                pool += [Question.of(group, item) for item in group.items]
    for language, texts in documents.items():
        pools.setdefault(language, [[], [], []])[2].extend(opening(language, document.text) for document in texts)
    chosen = []
    for language in sorted(pools):
        ranked = [
            sorted({q.key: q for q in pool}.values(), key=lambda q: digest_value([seed, q.task, q.prompt]))
            for pool in pools[language]
        ]
        chosen += [question for pool in ranked for question in pool][:count]
    return chosen


def opening(language: str, text: str) -> Question:
    """A document's first words (a third of it, OPENING_CHARS at most) and how it went on.

    The cut falls before a blank if one is near, and never between a letter and its marks.
    """
    end = min(OPENING_CHARS, max(1, len(text) // 3))
    blank = text.rfind(" ", end // 2, end)
    end = blank if blank > 0 else end
    while end < len(text) and unicodedata.category(text[end])[0] == "M":
        end += 1
    return Question("held_out", language, text[:end], text[end : end + EXPECTED_CHARS].strip())
