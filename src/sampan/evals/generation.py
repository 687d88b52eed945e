"""Greedy answers to `generate` items and to the prompts that are kept for reading, each prompt answered once."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..artifacts.documents import Document
from ..artifacts.items import Item
from ..core.errors import InputError
from ..core.identity import digest_value
from ..model.encoding import Prompt
from .answers import cut
from .examinee import Ending, Written
from .groups import Group

if TYPE_CHECKING:
    from .examinee import Examinee
    from .team import Progress

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
    ending: Ending = field(default_factory=Ending)

    @classmethod
    def of(cls, group: Group, item: Item) -> Question:
        expected = item.choices[0] if group.type == "preference" else item.answer or item.pattern
        return cls(group.task, group.language, item.prompt, expected, ending_of(item))

    @property
    def key(self) -> str:
        return digest_value(self.prompt)


class Outputs:
    """What one model wrote, by prompt."""

    def __init__(self, by_key: Mapping[str, Written]) -> None:
        self._by_key = by_key

    def text(self, question: Question) -> str:
        """The answer up to the question's stops."""
        return cut(self._by_key[question.key].text, question.ending.stops)

    def answer(self, item: Item) -> str:
        """What was written to the item, up to its stops."""
        return cut(self._by_key[digest_value(item.prompt)].text, ending_of(item).stops)

    def is_cut_off(self, item: Item) -> bool:
        """Whether the answer ran into its limit of tokens before it came to an end."""
        written = self._by_key[digest_value(item.prompt)]
        return written.at_limit and cut(written.text, ending_of(item).stops) == written.text


def ending_of(item: Item) -> Ending:
    """Where answers to an item end: its meta's `stop` and `max_new_tokens`."""
    most = item.meta.get("max_new_tokens", Ending.max_new_tokens)
    if not isinstance(most, int) or most < 1:
        raise InputError(f"max_new_tokens is {most!r}", where=f"item '{item.id}' of task '{item.task}'")
    return Ending(tuple(item.meta.get("stop", ())), most)


def answer_all(examinee: Examinee, questions: Sequence[Question], progress: Progress) -> Outputs:
    """Greedy answers, equal prompts answered once: up to the stops that all questions of a prompt share and for as many
    tokens as the longest of them takes."""
    prompts = {question.key: question.prompt for question in questions}
    endings: dict[str, Ending] = {}
    for question in questions:
        one, other = question.ending, endings.get(question.key, question.ending)
        stops = tuple(stop for stop in one.stops if stop in other.stops)
        endings[question.key] = Ending(stops, max(one.max_new_tokens, other.max_new_tokens))
    written = examinee.answers(list(prompts.values()), [endings[key] for key in prompts], progress)
    return Outputs(dict(zip(prompts, written, strict=True)))


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
