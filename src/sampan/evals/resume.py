"""Finished work in a file, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..store.files import write_atomic


def kept(path: Path, work: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What `path` holds as JSON, or what `work` makes now and leaves there."""
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    rows = work()
    write_atomic(path, json.dumps(rows, ensure_ascii=False))
    return rows
