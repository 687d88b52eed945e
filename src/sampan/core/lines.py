"""Lines of a JSONL file: ended by line feeds alone, as text may hold other ends of lines (U+2028, U+0085)."""

from __future__ import annotations

from pathlib import Path


def lines_of(file: Path) -> list[str]:
    """The lines of a UTF-8 file, without the empty one after the last line feed."""
    text = file.read_bytes().decode("utf-8")
    return text.removesuffix("\n").split("\n") if text else []
