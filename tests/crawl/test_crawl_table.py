"""Tables in, documents out: globs stay inside, codes are normalised, nothing of the machine is in the bytes."""

import gzip
import json
import shutil

import pytest

from sampan.artifacts.documents import read_documents, read_summary
from sampan.core.errors import InputError, RecipeError


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "data"
    (root / "th").mkdir(parents=True)
    rows = [{"id": "a", "lang": "th", "text": "สวัสดี"}, {"lang": "th", "text": "ไม่มีรหัส"}, {"lang": "th", "text": "  "}]
    with gzip.open(root / "th" / "one.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows)))
    (root / "en.jsonl").write_text('{"id": "e", "language": "en", "text": "Hello"}\n{"lang": "xx", "text": "?"}\n')
    (root / "notes.md").write_text("not a table")
    return root


def test_rows_become_documents_and_drops_are_counted(folder, run_stage):
    metrics, made = run_stage("crawl.table", {"license": "CC0"}, {"files": [folder]})
    documents = list(read_documents(made))
    assert [(d.id, d.language, d.license) for d in documents if d.id in "ae"] == [
        ("e", "eng_Latn", "CC0"),
        ("a", "tha_Thai", "CC0"),
    ]
    dropped = read_summary(made)["dropped"]
    assert dropped == {"empty": {"tha_Thai": 1}, "unknown_language": {"": 1}}
    assert metrics["rows"] == metrics["documents"] + 2


def test_ids_and_bytes_do_not_depend_on_the_place(folder, run_stage, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    _, first = run_stage("crawl.table", {}, {"files": [folder]})
    _, second = run_stage("crawl.table", {}, {"files": [copy]})
    assert first.digest == second.digest
    assert not any(str(tmp_path) in d.id for d in read_documents(first))


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({"paths": ["th/*.gz"]}, {"a"}),
        ({"paths": ["**/*.jsonl"]}, {"e"}),
        ({"languages": ["en"]}, {"e"}),
        ({"paths": ["th/*"], "max_documents": 1}, {"a"}),
    ],
)
def test_selection(folder, run_stage, params, ids):
    _, made = run_stage("crawl.table", params, {"files": [folder]})
    assert ids == {d.id for d in read_documents(made) if d.id in "ae"}


@pytest.mark.parametrize("pattern", ["../*", "/etc/*", "th/../../*", "no-such/*"])
def test_patterns_stay_inside(folder, run_stage, pattern):
    with pytest.raises(RecipeError, match=r"leaves the input folder|no file matches"):
        run_stage("crawl.table", {"paths": [pattern]}, {"files": [folder]})


def test_links_out_of_the_folder_are_not_read(folder, run_stage, tmp_path):
    secret = tmp_path / "secret.jsonl"
    secret.write_text('{"text": "secret"}')
    (folder / "link.jsonl").symlink_to(secret)
    _, made = run_stage("crawl.table", {}, {"files": [folder]})
    assert "secret" not in {d.text for d in read_documents(made)}


def test_nothing_kept_is_an_error(folder, run_stage):
    with pytest.raises(InputError, match="unwanted_language"):
        run_stage("crawl.table", {"languages": ["lo"]}, {"files": [folder]})


@pytest.mark.parametrize("none", [None, ""])
def test_an_empty_id_is_no_id(run_stage, tmp_path, none):
    rows = [{"id": none, "text": "one"}, {"id": none, "text": "two"}, {"id": 0, "text": "three"}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _, made = run_stage("crawl.table", {}, {"files": [tmp_path / "rows.jsonl"]})
    first, second, third = (document.id for document in read_documents(made))
    assert first.endswith(":1")
    assert second.endswith(":2")
    assert third == "0"
