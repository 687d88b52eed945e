"""A model may write any character: the rows that hold its words are read back as they were."""

from __future__ import annotations

import pytest

from sampan.artifacts.scores import read_records, read_samples, write_records, write_scores
from sampan.core.lines import lines_of

ENDS = "\u2028 \u2029 \u0085 \x0b \x0c \r \r\n \n"
"""Everything at which Python's splitlines would cut."""


def _write_samples(folder, rows):
    write_scores(folder, [], rows)


@pytest.mark.parametrize(("write", "read"), [(_write_samples, read_samples), (write_records, read_records)])
def test_rows_with_other_ends_of_lines_stay_whole(tmp_path, write, read):
    rows = [{"output": f"a{end}b"} for end in ENDS.split(" ")] + [{"output": ENDS}]
    write(tmp_path, rows)
    assert read(tmp_path) == rows


def test_a_file_of_no_lines_has_none(tmp_path):
    file = tmp_path / "x.jsonl"
    for text, lines in (("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\n\nb\n", ["a", "", "b"])):
        file.write_text(text, encoding="utf-8")
        assert lines_of(file) == lines
