"""Lines of a JSONL file: ended by line feeds alone, as text may hold other ends of lines (U+2028, U+0085)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def lines_of(file: Path) -> list[str]:
    """The lines of a UTF-8 file, without the empty one after the last line feed."""
    text = file.read_bytes().decode("utf-8")
    return text.removesuffix("\n").split("\n") if text else []


def write_jsonl(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line, its keys sorted, so that equal rows are equal bytes."""
    with open(file, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
