"""Chat templates and what of a rendered conversation is trained: the assistant's words and its end of turn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, RecipeError, did_you_mean

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_BODY = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + END }}{% endfor %}"
_OPEN = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

TEMPLATES = {
    # SeaLLMs' card of v1: Llama 2's form. Ours: a space before every [/INST]; the card leaves it out in history turns.
    "seallm-v1": "{% set ns = namespace(system='') %}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{% set ns.system = '<<SYS>>\n ' + m['content'] + ' \n<</SYS>>\n\n ' %}{% elif m['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + ns.system + m['content'] + ' [/INST]' }}{% set ns.system = '' %}"
    "{% else %}{{ ' ' + m['content'] + ' ' + eos_token + ' ' }}{% endif %}{% endfor %}",
    # SeaLLMs' model cards: no newline between </s> and the next turn; exactly one BOS.
    "seallm-v2": "{{ bos_token }}" + _BODY.replace("END", "eos_token") + _OPEN,
    # SeaLLMs' model cards: a newline after <eos>.
    "seallm-v2.5": "{{ bos_token }}" + _BODY.replace("END", "eos_token + '\n'") + _OPEN,
    # Gemma's form, which has no system turn: a system message goes before the user's words.
    "gemma": "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{% set ns.system = m['content'] + '\n\n' %}{% elif m['role'] == 'user' %}"
    "{{ '<start_of_turn>user\n' + ns.system + m['content'] + '<end_of_turn>\n' }}{% set ns.system = '' %}"
    "{% else %}{{ '<start_of_turn>model\n' + m['content'] + '<end_of_turn>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    # The common ChatML form, as Qwen writes it (no BOS).
    "chatml": _BODY.replace("END", "'<|im_end|>\n'") + _OPEN,
}
"""Jinja chat templates by name. The first three are SeaLLMs' published strings, written as Jinja."""

DEFAULT_TEMPLATE = "seallm-v2"

STILL = date(2024, 7, 26)
"""The date of templates that take one (`date_string`, as Llama 3's do), so that the same stage gives the same tokens on
every day: what they say where there is no clock."""


def write_template(folder: Path, name: str) -> None:
    """Put the named template into a tokenizer folder; RecipeError with the nearest name if there is none."""
    if name not in TEMPLATES:
        raise RecipeError(f"there is no chat template '{name}'", how=did_you_mean(name, TEMPLATES))
    (folder / "chat_template.jinja").write_text(TEMPLATES[name], encoding="utf-8")


def prompt_text(
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[dict[str, str]], *, today: date | None = None
) -> str:
    """The conversation so far, opened for the assistant's next turn; a template that takes a date is given `today`,
    STILL if None."""
    return _text(tokenizer, list(messages), open_turn=True, today=today)


def prompt_ids(
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[dict[str, str]], *, today: date | None = None
) -> list[int]:
    """Token ids of `prompt_text`; the template brings its own BOS."""
    return tokenizer(prompt_text(tokenizer, messages, today=today), add_special_tokens=False)["input_ids"]


def date_string(today: date | None = None) -> str:
    """`today`, or STILL, as Llama 3's templates write a date."""
    return (today or STILL).strftime("%d %b %Y")


def trained_turns(messages: Sequence[dict[str, Any]], default: Collection[int] | None = None) -> set[int]:
    """Numbers of the assistant's turns that are trained: what a turn says of itself (`train`) counts, else whether it
    is among `default`, all of the assistant's if None."""
    turns = {number for number, message in enumerate(messages) if message["role"] == "assistant"}
    return {n for n in turns if messages[n].get("train", default is None or n in default)}


def render(
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[dict[str, str]], *, turns: Collection[int] | None = None
) -> tuple[list[int], list[int]]:
    """Token ids and loss mask of a whole conversation, both of length T.

    The mask is 1 on each assistant turn's content and end of turn and 0 elsewhere (SeaLLMs, arXiv:2312.00738); `turns`
    are the numbers of the messages to be trained, all of the assistant's if None. The
    whole text is encoded once and tokens are marked by their character span, so a token that straddles the border
    between the prompt and the answer is never trained. InputError if the template rewrites earlier turns, so that
    spans cannot be told, or if no assistant turn is left.
    """
    spans, said = [], False
    text = _text(tokenizer, list(messages), open_turn=False)
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = _text(tokenizer, list(messages[:number]), open_turn=True)
        until = _text(tokenizer, list(messages[: number + 1]), open_turn=False)
        if not (until.startswith(before) and text.startswith(until)):
            raise InputError(
                "the chat template rewrites earlier turns, so the assistant's words cannot be marked",
                how="Give one-turn conversations, or a template that only appends.",
            )
        said = True
        if turns is None or number in turns:
            spans.append((len(before), len(until)))
    if not said:
        raise InputError("no assistant turn to learn from in this conversation")
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    mask = [_inside(start, end, spans) for start, end in encoded["offset_mapping"]]
    return encoded["input_ids"], mask


def stop_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Ids that end an assistant turn: EOS, and ChatML's or Gemma's end of turn where the vocabulary has it as one
    token."""
    ids = [tokenizer.eos_token_id]
    for name in ("<|im_end|>", "<end_of_turn>"):
        end = tokenizer.convert_tokens_to_ids(name)
        if isinstance(end, int) and end >= 0 and end != tokenizer.unk_token_id:
            ids.append(end)
    return [i for i in dict.fromkeys(ids) if i is not None]


def _inside(start: int, end: int, spans: Sequence[tuple[int, int]]) -> int:
    return int(any(low <= start and end <= high and end > start for low, high in spans))


def _text(tokenizer: Any, messages: list[dict[str, str]], *, open_turn: bool, today: date | None = None) -> str:
    if not tokenizer.chat_template:
        raise InputError(
            "this tokenizer has no chat template",
            how=f"Set `chat_template` ({', '.join(TEMPLATES)}) where the tokenizer is made or imported.",
        )
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=open_turn, date_string=date_string(today)
        )
    except TemplateError as error:
        raise InputError(
            f"the chat template refuses this conversation ({error})",
            how="Some know no system turn, or want user and assistant to take turns; another `chat_template` can be "
            "set where the model is imported.",
        ) from None
