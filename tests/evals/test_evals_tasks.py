"""Task files: the loader's errors, the templates, and what the bundled files make of rows."""

from __future__ import annotations

import json

import pytest
import yaml

from sampan.core.errors import InputError, RecipeError
from sampan.core.identity import digest_file
from sampan.evals.run import STAGE
from sampan.evals.task_file import FOLDER, fill, load_task, task_names
from sampan.evals.task_items import task_groups

GOOD = {
    "name": "x",
    "revision": 1,
    "type": "multiple_choice",
    "summary": "s",
    "paper": "p",
    "source": "u",
    "license": "l",
    "prompt": "{words.q} {question}",
    "choices": [" {a}", " {b}"],
    "answer": "{label}",
    "answers": {"A": "0", "B": "1"},
    "languages": {"tha_Thai": {"file": "th.jsonl", "words": {"q": "Q"}}},
}
ROW = {"id": 7, "question": "why {a}?", "a": "x", "b": "y", "label": "B"}


def write(folder, **changes):
    folder.mkdir(exist_ok=True)
    (folder / "x.yaml").write_text(yaml.safe_dump({**GOOD, **changes}), "utf-8")
    (folder / "th.jsonl").write_text(json.dumps(ROW), "utf-8")
    return folder


def test_evals_rows_become_items(tmp_path):
    folder = write(tmp_path)
    (group,) = task_groups(["x"], folder, folder=folder)
    (item,) = group.items
    assert (item.id, item.prompt, item.choices, item.answer) == ("7", "Q why {a}?", [" x", " y"], "1")
    (chat,) = task_groups(["x"], folder, folder=folder, chat=True)
    assert chat.items[0].prompt == [{"role": "user", "content": "Q why {a}?"}]
    assert chat.items[0].choices == ["x", "y"]
    assert chat.prompt_digest != group.prompt_digest


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"promt": "x"}, "Did you mean 'prompt'"),
        ({"revision": "one"}, "parameter 'revision'"),
        ({"type": "essay"}, "parameter 'type'"),
        ({"name": "y"}, "its name is 'y'"),
        ({"choices": [" A"]}, "at least two"),
        ({"type": "generate"}, "no `choices`"),
        ({"languages": {}}, "at least one language"),
        ({"languages": {"th": {"file": "th.jsonl"}}}, "not a language code"),
        ({"languages": {"tha_Thai": {"fiel": "th.jsonl"}}}, "Did you mean 'file'"),
        ({"prompt": "{words.qq}"}, "Did you mean 'q'"),
        ({"prompt": "{question|stripp}"}, "Did you mean 'strip'"),
        (
            {"languages": {"tha_Thai": {"file": "a", "words": {"q": "1"}}, "lao_Laoo": {"file": "b"}}},
            "same words",
        ),
    ],
)
def test_evals_bad_task_file(tmp_path, changes, says):
    folder = write(tmp_path, **changes)
    with pytest.raises(RecipeError, match="x.yaml") as error:
        load_task("x", folder)
    assert says in str(error.value)


@pytest.mark.parametrize("text", ["a: [1", "- 1\n", "a: b: c"])
def test_evals_task_file_that_is_no_mapping(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text, "utf-8")
    with pytest.raises(RecipeError, match="x.yaml"):
        load_task("x", tmp_path)


def test_evals_unknown_task_has_a_neighbour():
    with pytest.raises(RecipeError, match="Did you mean 'xcopa'"):
        load_task("xcoppa")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"answer": "{lable}"}, "Did you mean 'label'"),
        ({"answers": {"C": "0"}}, "none of C"),
        ({"answers": {"B": "2"}}, "not the index of one of 2 choices"),
        ({"prompt": "{question.0}"}, "no 'question.0'"),
        ({"prompt": "{a|word}"}, "no word for 'x'"),
        ({"prompt": "{a|after=#}"}, "'#' is missing"),
    ],
)
def test_evals_row_that_does_not_fit(tmp_path, changes, says):
    folder = write(tmp_path, **changes)
    with pytest.raises(InputError) as error:
        task_groups(["x"], folder, folder=folder)
    assert says in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_evals_rows_with_a_null_are_left_out_and_counted(tmp_path):
    folder = write(tmp_path)
    (folder / "th.jsonl").write_text(f"{json.dumps({**ROW, 'a': None})}\n{json.dumps(ROW)}", "utf-8")
    (group,) = task_groups(["x"], folder, folder=folder)
    assert (len(group.items), group.left_out) == (1, 1)
    (folder / "th.jsonl").write_text(json.dumps({**ROW, "a": None}), "utf-8")
    with pytest.raises(InputError, match="no row of task 'x'"):
        task_groups(["x"], folder, folder=folder)


def test_evals_missing_files_name_their_source(tmp_path):
    with pytest.raises(InputError, match=r"mgsm/th.jsonl.*url-nlp"):
        task_groups(["mgsm"], tmp_path)


def test_evals_fill_fills_once():
    row = {"a": "{b}", "b": "no", "list": [{"c": 3}]}
    assert fill("{a}-{list.0.c}-{words.w}", row, {"w": "{a}"}, where="") == "{b}-3-{a}"
    assert fill("{s|no_final_mark}", {"s": " Saya lari。 "}, {}, where="") == "Saya lari"
    assert fill("{s|lower_first}", {"s": "Ia"}, {}, where="") == "ia"
    assert fill("{s|after=####}", {"s": "1 #### 2 #### 3 "}, {}, where="") == "3"


@pytest.mark.parametrize("name", task_names())
def test_evals_bundled_task_is_sound(name):
    task = load_task(name)
    assert task.paper
    assert task.source.startswith("https://")
    assert task.license


def test_evals_task_change_raises_revisions():
    """Task files are part of what evals.run does: a changed question must change the stage's key.

    When this fails for a file you changed: raise `revision` in the file, raise STAGE.revision in evals/run.py, and put
    the new digest here. A new file only adds a line.
    """
    pinned = json.loads((FOLDER.parents[3] / "tests/evals/task_digests.json").read_text("utf-8"))
    found = {name: digest_file(FOLDER / f"{name}.yaml")[:16] for name in task_names()}
    assert pinned == {"stage_revision": STAGE.revision, "tasks": found}
