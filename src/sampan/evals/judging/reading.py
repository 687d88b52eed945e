"""Single questions for reading: what was asked and answered, and what the judge said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.identity import digest_value
from .questions import ChatQuestion
from .result import Result
from .tables import Judged, as_value

SHOWN_CHARS = 1500
"""Most of one judge's words that a sample shows."""


def samples(result: Result) -> Iterable[dict[str, Any]]:
    """Some questions of each language with every model's answers and what the judge said of them."""
    for row in _read(result, result.params.sample_prompts):
        yield {**row.facts, "judged": "\n\n".join(_told(result, verdict) for verdict in row.verdicts)}


def records(result: Result) -> Iterable[dict[str, Any]]:
    """More questions, one by one: `extracted` is what the judge was taken to say, `verdict` what that counts."""
    for row in _read(result, result.params.keep_items):
        said = [f"turn {v.turn + 1}: {', '.join(place or 'nothing' for place in v.said)}" for v in row.verdicts]
        counts = {}
        for verdict in row.verdicts:
            value = as_value(verdict, "win_rate", result.failures) if verdict.opponent else verdict.value
            counts[f"{'win_rate' if verdict.opponent else 'score'}_turn_{verdict.turn + 1}"] = value
        yield {**row.facts, "id": row.question.id, "extracted": "; ".join(said), "verdict": counts}


@dataclass(frozen=True, slots=True)
class _Item:
    """A question with one model's answers and all verdicts on them."""

    question: ChatQuestion
    verdicts: Sequence[Judged]
    facts: Mapping[str, str]


def _read(result: Result, most: int) -> Iterable[_Item]:
    """At most `most` questions of each language, chosen by hash, for every model."""
    by_place: dict[tuple[str, str, str], list[Judged]] = {}
    for row in result.judged:
        by_place.setdefault((row.model, row.question.language, row.question.id), []).append(row)
    for language in sorted({question.language for question in result.questions}):
        own = [n for n, question in enumerate(result.questions) if question.language == language]
        own.sort(key=lambda n: digest_value([result.params.seed, result.questions[n].id]))
        for number in own[:most]:
            question = result.questions[number]
            for one in result.contestants:
                facts = {
                    "model": one.name,
                    "task": result.params.benchmark,
                    "language": language,
                    "prompt": _numbered(question.turns),
                    "output": _numbered(one.answers[number]),
                    "expected": _numbered(question.references),
                }
                yield _Item(question, by_place.get((one.name, language, question.id), []), facts)


def _told(result: Result, row: Judged) -> str:
    """One verdict for reading: what it came to, and the judge's words."""
    came = f"{row.value:g}" if row.value is not None else row.outcome or "failed"
    against = f" against {row.opponent}" if row.opponent else ""
    why = f" ({', '.join(row.reasons)})" if row.reasons else ""
    words = [result.replies[key][-1].text[:SHOWN_CHARS] for key in row.asked]
    labels = ["shown first: ", "shown second: "] if row.opponent else [""]
    lines = [f"{label}{text}" for label, text in zip(labels, words, strict=False)]
    return "\n".join([f"Turn {row.turn + 1}{against}: {came}{why}", *lines])


def _numbered(turns: Sequence[str]) -> str:
    """Turns with their numbers; a lone one as it is."""
    return turns[0] if len(turns) == 1 else "\n\n".join(f"{n}. {text}" for n, text in enumerate(turns, 1))
