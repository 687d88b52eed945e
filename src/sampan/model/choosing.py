"""Which of a few replies a model would more likely write: a verdict from models too small to put one into words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .encoding import Prompt, encode_choices
from .scoring import continuations

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def reply_logprobs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Prompt],
    replies: Sequence[str],
    *,
    batch_tokens: int = 2048,
) -> list[tuple[float, ...] | None]:
    """For each prompt, the log-probability in nats of every reply; None for a prompt that the window does not hold."""
    window = model.config.max_position_embeddings
    rows = [encode_choices(tokenizer, prompt, replies) for prompt in prompts]
    fits = [all(len(context) + len(reply) - 1 <= window for context, reply in row) for row in rows]
    pairs = [pair for row, fit in zip(rows, fits, strict=True) if fit for pair in row]
    scored = iter(continuations(model, pairs, max_batch_tokens=batch_tokens))
    return [tuple(next(scored).logprob for _ in replies) if fit else None for fit in fits]
