"""Long work in pieces: each finished piece is kept on disk, so that a kill costs at most one piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..store.files import write_atomic

T = TypeVar("T")
Rows = list[dict]


def in_pieces(
    folder: Path, name: str, items: Sequence[T], size: int, work: Callable[[Sequence[T]], Rows]
) -> Iterator[Rows]:
    """`work` on `size` items at a time, piece by piece in order; finished pieces are read back, not done again.

    Pieces are cut at the same places after a kill, so a resumed run does the same work in the same batches. `work`
    must return JSON values.
    """
    for number, start in enumerate(range(0, len(items), size)):
        path = folder / f"{name}-{number:05d}.json"
        if not path.is_file():
            write_atomic(path, json.dumps(work(items[start : start + size]), ensure_ascii=False))
        yield json.loads(path.read_text(encoding="utf-8"))
