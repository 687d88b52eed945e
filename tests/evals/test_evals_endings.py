"""Answers end where their task says, and those that do not end are counted."""

from __future__ import annotations

import json
import shutil

import pytest

from sampan.artifacts.items import Item, write_items
from sampan.artifacts.scores import read_records, read_scores
from sampan.core.errors import InputError
from sampan.evals.metrics import measure
from sampan.evals.run import STAGE
from sampan.evals.task_file import load_task
from sampan.evals.task_items import task_groups
from scripted_server import ScriptedServer


@pytest.fixture
def lengths(monkeypatch):
    """Token counts of everything that is written, call by call."""
    from sampan.evals import examinee

    seen, generate = [], examinee.generate

    def counted(*given, **how):
        rows = generate(*given, **how)
        seen.append((given[2].max_new_tokens, [len(row) for row in rows]))
        return rows

    monkeypatch.setattr(examinee, "generate", counted)
    return seen


def as_items(folder, rows, artifact):
    folder.mkdir()
    write_items(folder, rows)
    return artifact(folder, "items")


def say(n: int, task: str = "say", **meta) -> Item:
    return Item(f"{n}", task, "generate", "eng_Latn", f"the {n}: ", [], "x", meta=meta)


def test_evals_an_answer_is_written_to_its_stop_and_no_further(run_stage, artifact, tiny, tmp_path, lengths):
    given = {"models": [artifact(tiny, "checkpoint")]}
    free = as_items(tmp_path / "free", [say(n) for n in range(6)], artifact)
    out, _ = run_stage(STAGE, {**given, "items": [free]}, state="free", max_new_tokens=40, sample_prompts=0)
    whole = {row["id"]: row["output"] for row in read_records(out)}
    stops = {name: text[3:5] for name, text in whole.items()}
    stopped = as_items(tmp_path / "stopped", [say(int(n), stop=[stop]) for n, stop in stops.items()], artifact)
    out, metrics = run_stage(STAGE, {**given, "items": [stopped]}, state="stop", max_new_tokens=40, sample_prompts=0)
    assert {row["id"]: row["output"] for row in read_records(out)} == {
        name: text[: text.index(stops[name])] for name, text in whole.items()
    }
    (_, before), (_, after) = lengths
    assert max(after) <= 12 < min(before), "a stop is a few characters in, a character is two tokens at most here"
    assert "answers" in metrics
    assert not any("cut_off" in counts for counts in metrics["answers"].get("tiny", {}).values())


def test_evals_a_model_that_names_its_own_end_of_turn_stops_there(run_stage, artifact, tiny, tmp_path, lengths):
    items = as_items(tmp_path / "items", [say(n) for n in range(4)], artifact)
    run_stage(STAGE, {"models": [artifact(tiny, "checkpoint")], "items": [items]}, max_new_tokens=30, sample_prompts=0)
    own = tmp_path / "own"
    shutil.copytree(tiny, own)
    settings = json.loads((tiny / "generation_config.json").read_text("utf-8"))
    settings["eos_token_id"] = [2, *range(3, 320)]
    (own / "generation_config.json").write_text(json.dumps(settings))
    given = {"models": [artifact(own, "checkpoint")], "items": [items]}
    run_stage(STAGE, given, state="own", max_new_tokens=30, sample_prompts=0)
    (_, before), (_, after) = lengths
    assert max(after) < min(before) == 30


def test_evals_answers_are_as_long_as_their_item_says(run_stage, artifact, tiny, tmp_path, lengths):
    rows = [say(0), say(1, max_new_tokens=5), say(2, task="long", max_new_tokens=500)]
    items = as_items(tmp_path / "items", rows, artifact)
    given = {"models": [artifact(tiny, "checkpoint")], "items": [items]}
    out, metrics = run_stage(STAGE, given, sample_prompts=0)
    window = 128
    assert lengths == [(5, [5]), (window // 2, [64, 64])], "64 where an item says nothing; half of the window at most"
    assert {score.task: score.cut_off for score in read_scores(out)} == {"say": 2, "long": 1}
    told = {task: counts["cut_off"] for task, counts in metrics["answers"]["tiny"].items()}
    assert told == {"say/eng_Latn": 2, "long/eng_Latn": 1}
    lengths.clear()
    run_stage(STAGE, given, state="set", sample_prompts=0, max_new_tokens=7)
    assert lengths == [(7, [7, 7, 7])], "the parameter goes before"


def test_evals_a_length_that_is_none_is_named(run_stage, artifact, tiny, tmp_path):
    items = as_items(tmp_path / "items", [say(0, max_new_tokens=0)], artifact)
    with pytest.raises(InputError, match="item '0' of task 'say': max_new_tokens is 0"):
        run_stage(STAGE, {"models": [artifact(tiny, "checkpoint")], "items": [items]})


@pytest.mark.parametrize("ends", ["length", "stop"])
def test_evals_served_answers_that_were_cut_off_are_counted(run_stage, artifact, tmp_path, ends):
    seen = []

    def answer(body):
        seen.append(body["max_tokens"])
        return 200, {"choices": [{"text": "so 18 and", "finish_reason": ends}], "usage": {}}

    items = as_items(tmp_path / "items", [say(0, max_new_tokens=300), say(1, stop=["18"])], artifact)
    with ScriptedServer(answer) as server:
        out, _ = run_stage(STAGE, {"items": [items]}, answer_models=["m"], answer_url=server.url, sample_prompts=0)
    assert sorted(seen) == [64, 300]
    (score,) = read_scores(out)
    assert score.cut_off == (ends == "length"), "the other one came to its stop"


def test_evals_worked_answers_have_room():
    assert min(load_task(name).max_new_tokens for name in ("gsm8k", "mgsm", "math", "ifeval")) >= 512


@pytest.mark.parametrize(
    ("code", "file", "written", "key", "right"),
    [
        ("ind_Latn", "id", "Jadi jawabannya 1.500 rupiah.", "1500", True),
        ("ind_Latn", "id", "Jadi jawabannya 1.500 rupiah.", "1.5", False),
        ("vie_Latn", "vi", "Tổng là 2 + 1.498 = 1.500", "1500", True),
        ("vie_Latn", "vi", "Đáp số: 1,5", "1.5", True),
        ("msa_Latn", "ms", "Jawapan: RM 1,500.00", "1500", True),
        ("tha_Thai", "th", "ดังนั้น คำตอบคือ ๑,๕๐๐ บาท", "1500", True),
        ("tha_Thai", "th", "คำตอบคือ 1.500", "1500", False),
        ("eng_Latn", "en", "The answer is 1.500.", "1500", False),
        ("zho_Hans", "zh", "答案是一千五百。", "1500", True),
    ],
)
def test_evals_mgsm_reads_numbers_as_its_language_writes_them(tmp_path, code, file, written, key, right):
    (tmp_path / "mgsm").mkdir()
    row = {"question": "?", "answer": key}
    (tmp_path / "mgsm" / f"{file}.jsonl").write_text(json.dumps(row), "utf-8")
    (group,) = task_groups(["mgsm"], tmp_path)
    assert group.language == code
    (mark,) = measure(group.metrics, group.items, [written])
    assert (mark.metric, mark.value) == ("exact_match", float(right))
