"""Rows as others write them: read sensibly, or refused with their place; never an internal fault."""

import datetime
import decimal
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from sampan.artifacts.conversations import read_conversations, read_preferences, write_conversations
from sampan.artifacts.documents import Document, read_documents, write_documents
from sampan.artifacts.tables import read_lines
from sampan.core.errors import InputError

LINES = [f"line {n} {n * n * 7919}" for n in range(5000)]
TEXT = "".join(line + "\n" for line in LINES).encode()


def jsonl(tmp_path, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_zstd_of_several_frames_is_read_whole(tmp_path):
    pack = zstandard.ZstdCompressor().compress
    skippable = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
    (tmp_path / "a.txt.zst").write_bytes(pack(TEXT[:7000]) + skippable + pack(b"") + pack(TEXT[7000:]))
    assert [line for _, line in read_lines(tmp_path / "a.txt.zst")] == LINES
    (tmp_path / "none.txt.zst").write_bytes(b"")
    assert list(read_lines(tmp_path / "none.txt.zst")) == []


@pytest.mark.parametrize("cut", [3, 10, 0.5, -1])
def test_zstd_that_is_cut_off_is_an_error(tmp_path, cut):
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)
    (tmp_path / "a.txt.zst").write_bytes(packed[: int(len(packed) * cut) if isinstance(cut, float) else cut])
    with pytest.raises(InputError, match="damaged or cut off") as caught:
        list(read_lines(tmp_path / "a.txt.zst"))
    assert "a.txt.zst:" in str(caught.value.where)


@pytest.mark.parametrize(("suffix", "place"), [("zst", 4), ("zst", 5000), ("gz", 10), ("gz", 5000)])
def test_damaged_streams_are_an_error(tmp_path, suffix, place):
    pack = gzip.compress if suffix == "gz" else zstandard.ZstdCompressor(write_checksum=True).compress
    packed = bytearray(pack(TEXT))
    packed[place : place + 40] = b"\xff" * 40  # near the start: a frame or block of no known kind
    (tmp_path / f"a.txt.{suffix}").write_bytes(packed)
    with pytest.raises(InputError, match="damaged or cut off"):
        list(read_lines(tmp_path / f"a.txt.{suffix}"))


@pytest.mark.parametrize(
    ("given", "meta"),
    [
        ("a plain string", {"meta": "a plain string"}),
        ("[broken", {"meta": "[broken"}),
        ([1, "b"], {"meta": [1, "b"]}),
        ('["a"]', {"meta": '["a"]'}),
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ([["a", 1]], {"a": 1}),
        (7, {"meta": 7}),
        ("", {}),
        (None, {}),
    ],
)
def test_any_meta_is_kept(tmp_path, given, meta):
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    path = jsonl(tmp_path, {"text": "x", "messages": messages, "meta": given})
    (conversation,) = read_conversations(path)
    assert conversation.meta == meta
    (document,) = read_documents(path)
    assert document.meta == {**meta, "messages": messages}


@pytest.mark.parametrize(
    ("given", "language"), [("th", "th"), (None, ""), (5, "5"), (["th"], "th"), (["th", "en"], "th, en")]
)
def test_a_language_is_always_a_text(tmp_path, given, language):
    row = {"text": "x", "language": given, "prompt": "a", "response": "b", "chosen": "b", "rejected": "c"}
    path = jsonl(tmp_path, row)
    for read in (read_documents, read_conversations, read_preferences):
        assert [row.language for row in read(path)] == [language]


def test_dates_and_decimals_of_parquet_columns_can_be_written(tmp_path):
    row = {
        "text": "x",
        "at": datetime.datetime(2024, 5, 1, 12, 30),
        "day": datetime.date(2024, 5, 1),
        "price": decimal.Decimal("1.50"),
        "meta": {"seen": datetime.date(2024, 5, 2)},
        "prompt": "a",
        "response": "b",
    }
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([row]), path)
    (tmp_path / "out").mkdir()
    write_documents(tmp_path / "out", read_documents(path))
    (document,) = read_documents(tmp_path / "out")
    expected = {"at": "2024-05-01 12:30:00", "day": "2024-05-01", "price": "1.50", "seen": "2024-05-02"}
    assert expected.items() <= document.meta.items()
    (tmp_path / "chats").mkdir()
    write_conversations(tmp_path / "chats", read_conversations(path))
    assert next(read_conversations(tmp_path / "chats")).meta == {"seen": "2024-05-02"}


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_halves_of_surrogate_pairs_become_replacement_characters(tmp_path, name):
    path = tmp_path / name
    path.write_text(r'{"text": "a\ud83d b\ud83d\ude00 \udc00", "k\ud800": ["\uDBFF"], "meta": "{\"m\": \"\\ud800\"}"}')
    (tmp_path / "out").mkdir()
    write_documents(tmp_path / "out", read_documents(path))
    (document,) = read_documents(tmp_path / "out")
    assert document.text == "a\ufffd b😀 \ufffd"
    assert document.meta == {"k\ufffd": ["\ufffd"], "m": "\ufffd"}


@pytest.mark.parametrize("line", ['{"text": ' + "1" * 5000 + "}", '{"text": ' + "[" * 200_000])
def test_json_that_python_cannot_hold_names_its_line(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match="JSON") as caught:
        list(read_documents(tmp_path / "a.jsonl"))
    assert str(caught.value.where).endswith("a.jsonl:1")


@pytest.mark.parametrize(
    "row",
    [
        {"messages": ["x"]},
        {"messages": "[bad"},
        {"messages": 5},
        {"messages": {"role": "user", "content": "a"}},
        {"messages": [{"role": "user", "content": "a"}], "system": 5},
        {"prompt": "a", "response": "b", "history": [["u"]]},
        {"prompt": "a", "response": "b", "history": ["uv"]},
        {"prompt": "a", "response": "b", "history": [["u", None]]},
        {"prompt": "a", "response": "b", "history": "uv"},
        {"prompt": "a", "response": "b", "system": ["s"]},
    ],
)
def test_conversations_of_no_known_shape_are_refused(tmp_path, row):
    with pytest.raises(InputError) as caught:
        list(read_conversations(jsonl(tmp_path, row)))
    assert str(caught.value.where).endswith("rows.jsonl:1")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a", "chosen": [], "rejected": "c"},
        {"prompt": "a", "chosen": ["b"], "rejected": ["c"]},
        {"prompt": ["a"], "chosen": "b", "rejected": "c"},
        {"prompt": None, "instruction": 5, "chosen": "b", "rejected": "c"},
        {"prompt": "a", "chosen": {"content": 5}, "rejected": "c"},
    ],
)
def test_preferences_of_no_known_shape_are_refused(tmp_path, row):
    with pytest.raises(InputError) as caught:
        list(read_preferences(jsonl(tmp_path, row)))
    assert str(caught.value.where).endswith("rows.jsonl:1")


def test_answers_that_begin_with_a_bracket_are_words(tmp_path):
    row = {"prompt": "[1, 2]", "chosen": "[sic] yes", "rejected": '{"a": 1}'}
    (pair,) = read_preferences(jsonl(tmp_path, row))
    assert (pair.prompt[0]["content"], pair.chosen, pair.rejected) == tuple(row.values())


def test_an_id_of_zero_is_an_id(tmp_path):
    row = {"id": 0, "prompt": "a", "response": "b", "chosen": "b", "rejected": "c"}
    path = jsonl(tmp_path, row, {**row, "id": None})
    for read in (read_conversations, read_preferences):
        assert [item.id for item in read(path)] == ["0", "rows.jsonl:2"]


def test_row_groups_end_at_a_size_too(tmp_path):
    """Memory of whoever writes or reads a table must not depend on how long its texts are."""
    texts = ["ກ" * 500_000, "b" * 3_000_000, "c" * 10, "d" * 5_000_000, "e"]
    write_documents(tmp_path, (Document(id=str(n), text=text) for n, text in enumerate(texts)))
    (file,) = tmp_path.glob("*.parquet")
    meta = pq.read_metadata(file)
    assert [meta.row_group(n).num_rows for n in range(meta.num_row_groups)] == [2, 2, 1]
    assert [document.text for document in read_documents(tmp_path)] == texts
