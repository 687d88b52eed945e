"""Rendering: the published strings, and masks that cover the assistant's words and end of turn, no more, no less."""

from __future__ import annotations

from datetime import date

import pytest

from sampan.core.errors import InputError, RecipeError
from sampan.model.chat import TEMPLATES, prompt_text, render, trained_turns, write_template

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "the cat"},
    {"role": "assistant", "content": "in the sun"},
    {"role": "user", "content": "ไปไหน"},
    {"role": "assistant", "content": "ไปตลาด"},
]

GOLDEN = {
    "seallm-v1": "<s>[INST] <<SYS>>\n Be brief. \n<</SYS>>\n\n the cat [/INST]",
    "gemma": "<s><start_of_turn>user\nBe brief.\n\nthe cat<end_of_turn>\n<start_of_turn>model\n",
    "seallm-v2": "<s><|im_start|>system\nBe brief.</s><|im_start|>user\nthe cat</s><|im_start|>assistant\n",
    "seallm-v2.5": "<s><|im_start|>system\nBe brief.</s>\n<|im_start|>user\nthe cat</s>\n<|im_start|>assistant\n",
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nthe cat<|im_end|>\n<|im_start|>assistant\n",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_write_the_published_strings(loaded, name):
    tokenizer = loaded[1]
    before, tokenizer.chat_template = tokenizer.chat_template, TEMPLATES[name]
    try:
        assert prompt_text(tokenizer, TURNS[:2]) == GOLDEN[name]
    finally:
        tokenizer.chat_template = before


def test_later_turns_of_the_first_seallm(loaded):
    """Llama 2's form: a BOS before every question, the system message before the first alone."""
    tokenizer = loaded[1]
    before, tokenizer.chat_template = tokenizer.chat_template, TEMPLATES["seallm-v1"]
    try:
        text = prompt_text(tokenizer, TURNS[:4])
        assert text.endswith("the cat [/INST] in the sun </s> <s>[INST] ไปไหน [/INST]")
        ids, mask = render(tokenizer, TURNS)
        assert sum(mask) < len(ids)
        assert ids.count(tokenizer.eos_token_id) == 2
    finally:
        tokenizer.chat_template = before


def test_mask_is_the_assistants_words_and_end(loaded):
    tokenizer = loaded[1]
    ids, mask = render(tokenizer, TURNS)
    assert len(ids) == len(mask)
    trained, runs = [], []
    for number, (token, flag) in enumerate(zip(ids, mask, strict=True)):
        if flag and (number == 0 or not mask[number - 1]):
            runs.append([])
        if flag:
            runs[-1].append(token)
            trained.append(token)
    assert [tokenizer.decode(run) for run in runs] == ["in the sun</s>", "ไปตลาด</s>"]
    assert trained.count(tokenizer.eos_token_id) == 2
    assert ids.count(tokenizer.bos_token_id) == 1


def test_a_conversation_without_an_answer_is_refused(loaded):
    with pytest.raises(InputError, match="no assistant turn"):
        render(loaded[1], TURNS[:2])


def test_a_template_that_rewrites_history_is_refused(loaded):
    tokenizer = loaded[1]
    before = tokenizer.chat_template
    tokenizer.chat_template = "{% for m in messages[-2:] %}{{ m['role'] + ':' + m['content'] + eos_token }}{% endfor %}"
    try:
        with pytest.raises(InputError, match="rewrites earlier turns"):
            render(tokenizer, TURNS)
    finally:
        tokenizer.chat_template = before


@pytest.mark.parametrize("says", ["{{ raise_exception('no system turns') }}", "{{ messages[9].content }}", "{% if %}"])
def test_a_template_that_refuses_a_conversation_is_told(loaded, says, monkeypatch):
    """As Gemma's and Mistral's own do."""
    monkeypatch.setattr(loaded[1], "chat_template", says)
    with pytest.raises(InputError, match="the chat template refuses this conversation"):
        render(loaded[1], TURNS)


def test_a_template_that_names_the_day_says_the_same_on_every_day(loaded, monkeypatch):
    """As Llama 3.2's own does; whoever serves a model says which day it is."""
    clock = "{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}"
    monkeypatch.setattr(loaded[1], "chat_template", clock + "{{ date_string }}")
    assert prompt_text(loaded[1], TURNS[:2]) == "26 Jul 2024"
    assert prompt_text(loaded[1], TURNS[:2], today=date(2031, 1, 5)) == "05 Jan 2031"


def test_a_turn_says_itself_whether_it_is_trained():
    turns = [
        {**turn, **more} for turn, more in zip(TURNS, [{}, {"train": True}, {"train": False}, {}, {}], strict=True)
    ]
    assert trained_turns(turns) == {4}
    assert trained_turns(TURNS) == {2, 4}
    assert trained_turns(turns, []) == set()
    assert trained_turns(TURNS, [2]) == {2}


def test_unknown_template(tmp_path):
    with pytest.raises(RecipeError, match="Did you mean 'seallm-v[12]'"):
        write_template(tmp_path, "seallm-v")
