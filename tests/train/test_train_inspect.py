"""`sampan inspect`: what is marked is what the stages train."""

from __future__ import annotations

import json
import re

import pytest

from sampan.cli.inspect import _within
from sampan.cli.main import main


@pytest.fixture
def chats(tmp_path):
    turns = [("user", "the tin"), ("assistant", "a hat"), ("user", "ไป"), ("assistant", "ไหน")]
    rows = [{"id": "one", "messages": [{"role": role, "content": text} for role, text in turns]}]
    rows.append({"id": "two", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "the"}]})
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def inspect(capsys, *words) -> str:
    assert main(["inspect", *map(str, words)]) == 0
    return capsys.readouterr().out


def marked(text: str) -> list[str]:
    return re.findall("⟦(.*?)⟧", text)[1:]  # the first is the legend's


def test_conversations_show_their_masks(capsys, tiny, chats):
    out = inspect(capsys, chats, "--model", tiny)
    assert marked(out) == ["a hat</s>", "ไหน</s>", "the</s>"]
    assert "\x1b" not in out
    assert "one: " in out
    assert marked(inspect(capsys, chats, "--model", tiny, "--loss-on", "last")) == ["ไหน</s>", "the</s>"]
    assert marked(inspect(capsys, chats, "--model", tiny, "--rows", 1)) == ["a hat</s>", "ไหน</s>"]


def test_colours_say_the_same(capsys, tiny, chats):
    out = inspect(capsys, chats, "--model", tiny, "--colour", "always", "--rows", 1)
    row = out.split("trained\n", 1)[1]
    green = "".join(re.findall("\x1b\\[30;(?:42|102)m(.*?)\x1b\\[0m", row))
    assert green == "a hat</s>ไหน</s>"


def test_a_stages_output_is_shown_with_its_own_settings(capsys, tiny, chats, tmp_path):
    store = tmp_path / "store"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"recipe: look\ninputs: {{base: 'dir:{tiny}', rows: 'file:{chats}'}}\nstages:\n"
        "  model: {stage: model.import, from: {files: base}}\n"
        "  chats: {stage: crawl.chat, from: {files: rows}}\n"
        "  sft: {stage: train.sft, from: {model: model, conversations: chats},"
        " with: {loss_on: last, context_len: 64, global_batch_tokens: 64}}\n"
        "  english: {stage: corpus.village, with: {part: documents, languages: [eng_Latn], num_documents: 3}}\n"
        "  tokens: {stage: corpus.pack, from: {documents: english, tokenizer: model}}\n"
    )
    assert main(["run", str(recipe), "--store", str(store)]) == 0
    capsys.readouterr()
    out = inspect(capsys, "look/sft", "--store", store)
    assert re.search(r"one, cut from (6[5-9]|7\d) tokens \(context_len\): 64 tokens", out)
    first, second = marked(out)
    assert first.startswith("ไ")
    assert not first.endswith("</s>"), "what the stage cut off was never trained"
    assert second == "the</s>"
    whole = marked(inspect(capsys, "look/tokens", "--store", store, "--rows", 1))
    assert len(whole) == 1
    assert whole[0].endswith("</s>")


def test_an_answer_longer_than_the_context_is_left_out_whole():
    rows = [("long", [1, 2, 3], [0, 1, 1]), ("short", [1, 2], [0, 1])]
    long, short = _within("preferences", iter(rows), 2)
    assert long == ("long, left out as longer than 2 tokens (context_len)", [1, 2, 3], [0, 0, 0])
    assert short == rows[1]
    assert list(_within("tokens", iter(rows), 2)) == rows


def test_judged_answers_and_pairs_are_shown(capsys, tiny, tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"prompt": "the", "chosen": "tin", "rejected": "hat"}))
    assert marked(inspect(capsys, file, "--model", tiny)) == ["tin</s>", "hat</s>"]
    file.write_text(json.dumps({"prompt": "the", "completion": "tin", "label": False}))
    out = inspect(capsys, file, "--model", tiny)
    assert marked(out) == ["tin</s>"]
    assert "undesirable" in out


def test_what_cannot_be_shown_is_said(capsys, chats):
    assert main(["inspect", str(chats)]) == 1
    assert "Add --model" in capsys.readouterr().err
