"""Prompts and answers as token ids: where a continuation begins, and what stands before the first word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.errors import InputError
from .chat import prompt_text, render

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Prompt = str | list[dict[str, str]]
"""Plain text, or messages for the chat template."""


def first_token(tokenizer: PreTrainedTokenizerFast) -> int:
    """The id that stands before a text: BOS, or EOS where there is no BOS (lm-eval's rule)."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return token
    raise InputError(
        "this tokenizer has neither a BOS nor an EOS token, so the first word of a text has no context",
        how="Set one of them in tokenizer_config.json.",
    )


def encode_prompt(tokenizer: PreTrainedTokenizerFast, prompt: Prompt) -> list[int]:
    """Ids of a prompt [T], never empty.

    Messages go through the chat template, which brings its own BOS. A model without one (a base model among chat
    models) sees the messages' contents with a newline after each, as SEA-HELM shows them to base models.
    """
    text, head = _text(tokenizer, prompt)
    return head + _ids(tokenizer, text) or [first_token(tokenizer)]


def encode_choices(
    tokenizer: PreTrainedTokenizerFast, prompt: Prompt, choices: Sequence[str]
) -> list[tuple[list[int], list[int]]]:
    """(context ids, continuation ids) of every choice, both non-empty.

    Prompt and choice are encoded together, and blanks at the end of a plain prompt belong to the choice (lm-eval's
    rule). A token that straddles the border belongs to the continuation, and then every choice is scored from that
    place on: all continuations predict the same tail of the prompt plus their own choice, so that scripts without
    spaces are not favoured or punished by where tokens happen to end.
    """
    text, head = _text(tokenizer, prompt)
    border = len(text.rstrip()) if isinstance(prompt, str) else len(text)
    rows, starts = [], []
    for choice in choices:
        encoded = tokenizer(text + choice, add_special_tokens=False, return_offsets_mapping=True)
        ends = [end for _, end in encoded["offset_mapping"]]
        rows.append(encoded["input_ids"])
        starts.append(next((n for n, end in enumerate(ends) if end > border), len(ends)))
    start = min(starts, default=0)
    while start and any(row[:start] != rows[0][:start] for row in rows):
        start -= 1
    if not head and start == 0:
        head = [first_token(tokenizer)]
    if any(len(row) == start for row in rows):
        raise InputError("a choice is empty", how="Every choice needs at least one character that is not blank.")
    return [(head + row[:start], row[start:]) for row in rows]


def encode_answer(tokenizer: PreTrainedTokenizerFast, prompt: Prompt, answer: str) -> tuple[list[int], list[int]]:
    """(context ids, continuation ids) of a whole answer: in a chat with the end of its turn, in plain text without."""
    if isinstance(prompt, str) or not tokenizer.chat_template:
        return encode_choices(tokenizer, prompt, [answer])[0]
    ids, mask = render(tokenizer, [*prompt, {"role": "assistant", "content": answer}])
    last = max(n for n, trained in enumerate(mask) if trained)
    start = last
    while mask[start - 1]:
        start -= 1
    return ids[:start], ids[start : last + 1]


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _text(tokenizer: PreTrainedTokenizerFast, prompt: Prompt) -> tuple[str, list[int]]:
    """The prompt as text, and the ids that stand before it."""
    bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    if isinstance(prompt, str):
        return prompt, bos
    if tokenizer.chat_template:
        return prompt_text(tokenizer, prompt), []
    return "".join(f"{message['content']}\n" for message in prompt), bos
