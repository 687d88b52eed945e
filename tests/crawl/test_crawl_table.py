"""Tables in, documents out: globs stay inside, codes are normalised, nothing of the machine is in the bytes."""

import gzip
import json
import shutil

import pytest

from sampan.artifacts.documents import read_documents, read_summary
from sampan.core.errors import InputError, RecipeError
from sampan.core.stage import Artifact
from sampan.crawl.table import Params


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


@pytest.fixture
def damaged(tmp_path):
    """A folder with one good row for each bad one, of every kind that there is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = tmp_path / "damaged"
    root.mkdir()
    good = json.dumps({"id": "j", "lang": "en", "text": "good"})
    lines = [good, '{"id": 1, "text": "cut of', "[1]", '{"id": "n"}', '{"id": "u", "text": 5}']
    (root / "a.jsonl").write_bytes("\n".join(lines).encode() + b'\n{"text": "\xff"}\n')
    packed = gzip.compress("\n".join([good] * 5000).encode())
    (root / "b.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    pq.write_table(pa.table({"id": ["p", "q"], "text": ["good", None]}), root / "c.parquet")
    (root / "d.parquet").write_bytes(b"PAR1 and no more")
    (root / "e.json").write_text("[1, 2")
    return root


def test_bad_rows_and_files_are_counted_and_cost_themselves(damaged, run_stage, tmp_path):
    metrics, made = run_stage("crawl.table", {"source": "s"}, {"files": [damaged]})
    summary = read_summary(made)
    assert {reason: count[""] for reason, count in summary["dropped"].items()} == {
        "bad_json": 3,
        "no_text": 3,
        "not_utf8": 1,
        "damaged": 2,
    }
    assert {document.id for document in read_documents(made)} == {"j", "p"}
    assert metrics["rows"] == metrics["documents"] + summary["dropped_documents"]
    examples = {reason: texts[""] for reason, texts in summary["dropped_examples"].items()}
    assert examples["bad_json"][0].startswith("a.jsonl:2: not JSON")
    assert examples["no_text"][2] == "c.parquet, row 2: the columns are id, text"
    assert str(tmp_path) not in json.dumps(summary)
    # what a stage of ours wrote is not forgiven
    with pytest.raises(InputError, match="not JSON"):
        list(read_documents(damaged / "a.jsonl"))


def test_an_input_without_a_usable_row_names_its_columns(tmp_path, run_stage):
    (tmp_path / "hub.jsonl").write_text('{"content": "Hello", "key": 1}\n{"content": "you", "key": 2}\n')
    with pytest.raises(InputError, match=r"no_text.*text_column.*content, key"):
        run_stage("crawl.table", {}, {"files": [tmp_path / "hub.jsonl"]})


def test_columns_can_be_named(tmp_path, run_stage):
    rows = [{"content": "สวัสดี", "key": 7, "tongue": "th", "link": "http://x.org", "text": None, "more": 1}, {"key": 8}]
    (tmp_path / "hub.jsonl").write_text("\n".join(map(json.dumps, rows)))
    named = {"text_column": "content", "id_column": "key", "language_column": "tongue", "url_column": "link"}
    _, made = run_stage("crawl.table", named, {"files": [tmp_path / "hub.jsonl"]})
    (document,) = read_documents(made)
    assert (document.text, document.id, document.language) == ("สวัสดี", "7", "tha_Thai")
    assert (document.url, document.meta) == ("http://x.org", {"more": 1})
    assert read_summary(made)["dropped"] == {"no_text": {"": 1}}
    with pytest.raises(RecipeError, match=r"language_column.*'tonge'.*tongue"):
        run_stage("crawl.table", {**named, "language_column": "tonge"}, {"files": [tmp_path / "hub.jsonl"]})


@pytest.mark.parametrize("ending", ["\n", ""])
@pytest.mark.parametrize("job_bytes", [1, 60, 333, 10_000])
def test_lines_cut_among_jobs_are_the_same_rows(tmp_path, run_stage, monkeypatch, job_bytes, ending):
    """Cuts within rows, at line ends and within characters; rows without an id, which their line names; a line that is
    not UTF-8 and one that is longer than a job."""
    from sampan.crawl import table_shards

    lines = [json.dumps({"text": "ก" * n}, ensure_ascii=False).encode() for n in range(1, 40)]
    lines[7], lines[9], lines[20] = b'{"text": "\xff"}', b"", json.dumps({"text": "ข" * 500}).encode()
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\n".join(lines) + ending.encode())
    metrics, whole = run_stage("crawl.table", {}, {"files": [file]})
    monkeypatch.setattr(table_shards, "JOB_BYTES", job_bytes)
    jobs = table_shards._jobs(Params(), [(Artifact(path=file, kind="documents", digest="", name="rows"), file)])
    again, cut = run_stage("crawl.table", {}, {"files": [file]})
    assert len(jobs) == 1 if job_bytes > file.stat().st_size else len(jobs) > 5
    assert list(read_documents(cut)) == list(read_documents(whole))
    assert again == metrics
    assert read_summary(cut) == read_summary(whole)
    assert read_summary(cut)["dropped"] == {"not_utf8": {"": 1}}
    assert read_summary(cut)["dropped_examples"]["not_utf8"][""][0].startswith("rows.jsonl:8: ")
