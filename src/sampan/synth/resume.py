"""Long work in pieces: each finished piece is kept on disk, so that a kill costs at most one piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..store.files import write_atomic
from ..store.locks import taken

T = TypeVar("T")
Rows = list[dict]


def in_pieces(
    folder: Path, name: str, items: Sequence[T], size: int, work: Callable[[Sequence[T]], Rows], *, alone: bool = True
) -> Iterator[Rows]:
    """`work` on `size` items at a time, piece by piece in order; finished pieces are read back, not done again.

    Pieces are cut at the same places after a kill, so a resumed run does the same work in the same batches. `work`
    must return JSON values. Unless this process is `alone`, others call this with the same items, and each does the
    pieces that nobody is at; all get all rows.
    """
    starts = range(0, len(items), size)
    paths = [folder / f"{name}-{number:05d}.json" for number in range(len(starts))]

    def do(start: int, path: Path) -> None:
        if not path.is_file():
            write_atomic(path, json.dumps(work(items[start : start + size]), ensure_ascii=False))

    for wait in (False, True) if not alone else ():
        for start, path in zip(starts, paths, strict=True):
            with taken(path.with_suffix(".lock"), wait=wait) as mine:
                if mine:
                    do(start, path)
    for start, path in zip(starts, paths, strict=True):
        do(start, path)
        yield json.loads(path.read_text(encoding="utf-8"))
