"""Single items for reading: prompt, answer, what was read out of it, and what each metric said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .groups import Group, describe_prompt, thin
from .marks import Mark

SHOWN_CHARS = 8000
"""Most of one prompt or answer that is kept."""


@dataclass(frozen=True)
class Answered:
    """How one model answered a group's items, in their order."""

    marks: list[Mark]
    outputs: list[str]
    """What it wrote, or its choices with their log-likelihoods."""
    extracted: list[str]
    """What was read out of that; '' where it counts as it is."""


def records(group: Group, answered: Answered, keep: int, seed: int) -> list[dict[str, Any]]:
    """Rows of at most `keep` items of the group, the same ones for every model; `verdict` is by metric."""
    chosen = {id(item) for item in thin(group.items, keep, seed)} if keep else set()
    rows = []
    for n, item in enumerate(group.items):
        if id(item) not in chosen:
            continue
        rows.append(
            {
                "task": group.task,
                "language": group.language,
                "id": item.key,
                "prompt": describe_prompt(item.prompt)[-SHOWN_CHARS:],  # the question is at the end
                "output": answered.outputs[n][:SHOWN_CHARS],
                "extracted": answered.extracted[n][:SHOWN_CHARS],
                "expected": _expected(group, item)[:SHOWN_CHARS],
                "verdict": {mark.metric: mark.of_item(n) for mark in answered.marks if mark.values},
            }
        )
    return rows


def _expected(group: Group, item: Any) -> str:
    if group.type == "multiple_choice":
        return item.choices[int(item.answer)].strip()
    if group.type == "preference":
        return item.choices[0].strip()
    return "\n".join(item.meta.get("references", ())) or item.answer or item.pattern
