"""What ends an answer: end-of-turn ids of the tokenizer and of the model's own settings, and stop strings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .chat import stop_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Ended = Callable[[list[int]], bool]
"""Whether the answer so far, as token ids, is at its end. Asked after every token."""


def end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Ids that end an answer: `chat.stop_ids`, and what the model's generation_config.json names as `eos_token_id`, one
    id or a list (Llama 3's <|eot_id|> stands only there)."""
    named = getattr(model.generation_config, "eos_token_id", None)
    ends = [*stop_ids(tokenizer), *(named if isinstance(named, list) else [named])]
    return [token for token in dict.fromkeys(ends) if token is not None]


def stop_test(tokenizer: PreTrainedTokenizerFast, stops: Sequence[str]) -> Ended:
    """Whether the newest tokens complete a stop string: a text of n bytes is in the last n + 4 tokens at most."""
    stops = [stop for stop in stops if stop]
    if not stops:
        return never
    back = max(len(stop.encode()) for stop in stops) + 4

    def ended(ids: list[int]) -> bool:
        text = tokenizer.decode(ids[-back:])
        return any(stop in text for stop in stops)

    return ended


def never(ids: list[int]) -> bool:
    """Of an answer without stop strings."""
    return False
