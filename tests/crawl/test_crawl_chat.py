"""Instruction tables in, conversations and preferences out; unusable rows are counted, not fatal."""

import json

import pytest

from sampan.artifacts.conversations import read_conversations, read_preferences
from sampan.artifacts.documents import read_summary
from sampan.core.errors import InputError, RecipeError


def table(path, rows):
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def test_shapes_and_drops(tmp_path, run_stage):
    rows = [
        {"instruction": "Add", "input": "1 2", "output": "3", "lang": "en"},
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "function_call", "value": "{}"}]},
        {"messages": [{"role": "user", "content": "hi"}]},
        {"prompt": "x", "response": "   "},
        {"prompt": "x", "response": "y", "lang": "klingon"},
        {"something": "else"},
    ]
    metrics, made = run_stage("crawl.chat", {}, {"files": [table(tmp_path / "t.jsonl", rows)]})
    first, second = read_conversations(made)
    assert first.messages == [{"role": "user", "content": "Add\n1 2"}, {"role": "assistant", "content": "3"}]
    assert (first.language, second.language) == ("eng_Latn", "")
    expected = {"malformed": 2, "does_not_end_with_assistant": 1, "empty_message": 1, "unknown_language": 1}
    assert metrics["dropped"] == read_summary(made)["dropped"] == expected
    assert metrics["rows"] + sum(metrics["dropped"].values()) == len(rows)


def test_preferences(tmp_path, run_stage):
    rows = [
        {"prompt": "Q", "chosen": "good", "rejected": "bad"},
        {"prompt": "Q", "chosen": "same", "rejected": "same"},
        {"prompt": "Q", "chosen": "good"},
    ]
    params = {"part": "preferences", "language": "th"}
    metrics, made = run_stage("crawl.chat", params, {"files": [table(tmp_path / "p.jsonl", rows)]})
    (pair,) = read_preferences(made)
    assert made.kind == "preferences"
    assert (pair.prompt[-1]["content"], pair.chosen, pair.rejected, pair.language) == ("Q", "good", "bad", "tha_Thai")
    assert metrics["dropped"] == {"equal_answers": 1, "malformed": 1}


def test_template_makes_conversations_of_parallel_rows(tmp_path, run_stage):
    rows = [{"en": "A dog {x}.", "th": "หมา"}, {"en": "No Thai"}]
    params = {"template": {"user": "Translate: {en}", "assistant": "{th}"}, "language": "th"}
    metrics, made = run_stage("crawl.chat", params, {"files": [table(tmp_path / "p.jsonl", rows)]})
    (conversation,) = read_conversations(made)
    assert [m["content"] for m in conversation.messages] == ["Translate: A dog {x}.", "หมา"]
    assert metrics["dropped"] == {"no_column_th": 1}


@pytest.mark.parametrize("template", [{"usr": "{a}", "assistant": "{b}"}, {"user": "{a}"}])
def test_bad_templates(tmp_path, run_stage, template):
    with pytest.raises(RecipeError):
        run_stage("crawl.chat", {"template": template}, {"files": [table(tmp_path / "t.jsonl", [{"a": "1"}])]})


def test_the_two_sides_of_a_split_never_meet(tmp_path, run_stage):
    path = table(tmp_path / "t.jsonl", [{"id": f"r{n}", "prompt": f"q{n}", "response": "a"} for n in range(300)])
    sides = []
    for split in ("train", "held_out", "all"):
        _, made = run_stage("crawl.chat", {"split": split, "held_out_share": 0.2}, {"files": [path]})
        sides.append({c.id for c in read_conversations(made)})
    train, held_out, whole = sides
    assert not train & held_out
    assert train | held_out == whole
    # 300 draws at 0.2: 60 expected, standard deviation 7; four of them either side
    assert 32 <= len(held_out) <= 88


def test_no_rows_is_an_error(tmp_path, run_stage):
    with pytest.raises(InputError, match="malformed"):
        run_stage("crawl.chat", {}, {"files": [table(tmp_path / "t.jsonl", [{"x": 1}])]})


@pytest.mark.shared
def test_real_sets(shared, run_stage):
    folder = shared / "data/instruct"
    metrics, made = run_stage(
        "crawl.chat", {"paths": ["alpaca_cleaned/km.jsonl.gz"], "language": "km"}, {"files": [folder]}
    )
    assert metrics["rows"] > 100
    assert {c.language for c in read_conversations(made)} == {"khm_Khmr"}
    params = {"part": "preferences", "paths": ["hh_rlhf/*", "llamafactory/dpo_*"], "max_rows": 50}
    metrics, _ = run_stage("crawl.chat", params, {"files": [folder]})
    assert metrics["rows"] == 150
