"""Verdicts: which of two answers a judge prefers, asked in both orders, kept only if it does not change its mind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..artifacts.conversations import Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Judge = Callable[[Sequence[list[Message]]], Sequence[tuple[float, float] | None]]
"""For each question to the judge: log-probabilities of the two labels, or None if it does not fit its window."""
_PLACE = re.compile(r"\{(criteria|question|answer_a|answer_b|label_a|label_b)\}")
_ROLES = {"system": "System", "user": "User", "assistant": "Assistant"}


@dataclass(frozen=True, slots=True)
class Phrasing:
    """How the judge is asked."""

    template: str
    criteria: str
    labels: tuple[str, str]

    def ask(self, prompt: Sequence[Message], first: str, second: str) -> list[Message]:
        """The question to the judge about two answers, as one user turn. Braces inside texts stay as they are."""
        values = {
            "criteria": self.criteria,
            "question": question_text(prompt),
            "answer_a": first,
            "answer_b": second,
            "label_a": self.labels[0],
            "label_b": self.labels[1],
        }
        return [{"role": "user", "content": _PLACE.sub(lambda match: values[match[1]], self.template)}]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of asking twice.

    `margin_ab` and `margin_ba` are log-odds for the answer shown first, in either order; `reason` says why there is no
    winner: `judge_window`, `tie` (equal odds) or `inconsistent`.
    """

    winner: int | None
    reason: str
    margin_ab: float = 0.0
    margin_ba: float = 0.0

    @property
    def asked(self) -> bool:
        return self.reason != "judge_window"

    @property
    def first_position(self) -> int:
        """How often, of the two times, the answer shown first was preferred."""
        return (self.margin_ab > 0) + (self.margin_ba > 0)


def judge_pairs(judge: Judge, questions: Sequence[tuple[Phrasing, Sequence[Message], str, str]]) -> list[Verdict]:
    """A verdict for each (phrasing, prompt, answer, other answer): winner 0 or 1, or None with its reason."""
    asked = [
        phrasing.ask(prompt, *pair)
        for phrasing, prompt, first, second in questions
        for pair in ((first, second), (second, first))
    ]
    replies = judge(asked)
    return [_verdict(ab, ba) for ab, ba in zip(replies[::2], replies[1::2], strict=True)]


def _verdict(ab: tuple[float, float] | None, ba: tuple[float, float] | None) -> Verdict:
    if ab is None or ba is None:
        return Verdict(None, "judge_window")
    margin_ab, margin_ba = ab[0] - ab[1], ba[0] - ba[1]
    if margin_ab == 0 or margin_ba == 0:
        return Verdict(None, "tie", margin_ab, margin_ba)
    if (margin_ab > 0) == (margin_ba > 0):  # the same place won twice: the place was judged, not the answer
        return Verdict(None, "inconsistent", margin_ab, margin_ba)
    return Verdict(0 if margin_ab > 0 else 1, "", margin_ab, margin_ba)


def question_text(prompt: Sequence[Message]) -> str:
    """The prompt as the judge reads it: a lone user turn as it is, a dialogue with its speakers."""
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n\n".join(f"{_ROLES[message['role']]}: {message['content']}" for message in prompt)


def model_judge(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    labels: tuple[str, str],
    *,
    batch_tokens: int = 2048,
) -> Judge:
    """A judge that replies in the chat format; its verdict is the label it would more likely write."""
    from ..model.choosing import reply_logprobs

    def judge(asked: Sequence[list[Message]]) -> list[tuple[float, float] | None]:
        return reply_logprobs(model, tokenizer, asked, labels, batch_tokens=batch_tokens)

    return judge


def phrasings(
    template: str, criteria: str, labels: tuple[str, str], by_language: Mapping[str, Mapping[str, str]]
) -> Callable[[str], Phrasing]:
    """The phrasing for a language: its own template and criteria where given, the common ones elsewhere."""

    def phrasing(language: str) -> Phrasing:
        own = by_language.get(language, {})
        return Phrasing(own.get("judge_template", template), own.get("criteria", criteria), labels)

    return phrasing
