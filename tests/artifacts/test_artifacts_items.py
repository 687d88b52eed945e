"""Items as our writer puts them and as people write them; lines that are not UTF-8 are named exactly."""

from __future__ import annotations

import json

import pytest

from sampan.artifacts.items import Item, read_items, write_items
from sampan.artifacts.tables import read_lines
from sampan.core.errors import InputError


@pytest.mark.parametrize("prompt", ['"Hi" she said', "[1, 2] is a list", "plain", [{"role": "user", "content": "x"}]])
def test_written_items_come_back(tmp_path, prompt):
    item = Item(
        id="1", task="t", type="multiple_choice", language="tha_Thai", prompt=prompt, choices=["a", "b"], answer="1"
    )
    write_items(tmp_path, [item])
    assert list(read_items(tmp_path)) == [item]


def test_lists_in_jsonl_are_lists(tmp_path):
    row = {"id": "1", "task": "t", "type": "multiple_choice", "language": "th", "prompt": "Hi", "choices": ["a", "b"],
           "answer": "0", "meta": {"k": 1}}  # fmt: skip
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    (item,) = read_items(tmp_path)
    assert (item.choices, item.meta) == (["a", "b"], {"k": 1})


def test_the_very_line_that_is_not_utf8(tmp_path):
    lines = [b"fine\n"] * 300 + [b"caf\xe9\n"] + [b"fine\n"] * 300
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbf" + b"".join(lines))
    with pytest.raises(InputError, match=r"x\.txt:301: not UTF-8"):
        list(read_lines(tmp_path / "x.txt"))
    assert next(read_lines(tmp_path / "x.txt"))[1] == "fine", "without its byte order mark"
