"""Finished work in a file, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def kept(path: Path, work: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What `path` holds as JSON, or what `work` makes now and leaves there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    rows = work()
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    with open(aside, "w", encoding="utf-8") as file:
        json.dump(rows, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    return rows
