"""What lm-eval counts as wrong without a word: empty answers, and keys that name none of the choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .degeneration import is_empty, is_loop


def unreadable(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """{"empty": …, "looping": …} of one task's logged samples; a document is logged once for each filter."""
    said = {row["doc_id"]: row["resps"][0][0] for row in rows if row["resps"] and row["resps"][0]}
    answers = [answer for answer in said.values() if isinstance(answer, str)]
    return {"empty": sum(map(is_empty, answers)), "looping": sum(map(is_loop, answers))}


def keys_outside(rows: Sequence[Mapping[str, Any]]) -> int:
    """Documents whose key is none of the choices: lm-eval takes -100 for it, which no answer ever equals."""
    return len({row["doc_id"] for row in rows if _is_outside(row)})


def _is_outside(row: Mapping[str, Any]) -> bool:
    choices = [argument[1] for argument in row["arguments"] if len(argument) > 1]
    if len(choices) < 2 or not all(isinstance(choice, str) for choice in choices):
        return False
    target = row["target"]
    if isinstance(target, str) and target.strip().lstrip("-").isdigit():
        target = int(target)
    if isinstance(target, int):
        return not 0 <= target < len(choices)
    return isinstance(target, str) and target.strip() not in {choice.strip() for choice in choices}
