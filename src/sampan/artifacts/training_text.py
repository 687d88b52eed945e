"""The text of whatever a model is trained on, row by row: documents, conversations, preferences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .conversations import conversation_of, preference_of


def training_text(row: Mapping[str, Any], place: str) -> str:
    """All that a model sees of a row; InputError, naming `place`, for one in none of the shapes that we read."""
    if isinstance(row.get("text"), str):
        return row["text"]
    if row.get("chosen") is not None:
        pair = preference_of(dict(row), place)
        return "\n".join([*(turn["content"] for turn in pair.prompt), pair.chosen, pair.rejected])
    return "\n".join(turn["content"] for turn in conversation_of(dict(row), place).messages)
