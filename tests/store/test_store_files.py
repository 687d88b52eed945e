"""Files that survive a kill."""

from __future__ import annotations

import pytest

from sampan.store.files import appended_lines


@pytest.mark.parametrize("cut", [b"", b'{"b', "ก".encode()[:2]])
def test_a_line_that_a_kill_cut_off_is_taken_away(tmp_path, cut):
    """Also inside a letter; U+2028 and U+0085 end no line."""
    path = tmp_path / "work.jsonl"
    assert appended_lines(path) == []
    lines = ["a\u2028b\x85c", "", "มา"]
    path.write_bytes("".join(f"{line}\n" for line in lines).encode() + cut)
    assert appended_lines(path) == lines
    with open(path, "a", encoding="utf-8") as file:
        file.write("d\n")
    assert appended_lines(path) == [*lines, "d"]
