"""Parts of token shards, each made by a job of its own, put end to end: the bytes that one writer would give.

Ids are the bulk, so a single part gets a second name instead of a copy, and several are copied inside the kernel.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .document_shards import second_name
from .tokens import write_index, write_ones

_BLOCK = 8 << 20


def gather_tokens(parts: Sequence[Path], out: Path) -> dict[str, Any]:
    """Write the documents of `parts` (folders of `TokenWriter`, of one tokenizer) in order into `out`; the index.

    A part may be named more than once. Only one part's offsets are in memory at a time.
    """
    indexes = [json.loads((part / "index.json").read_text(encoding="utf-8")) for part in parts]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    names: dict[str, int] = {}
    base = 0
    _append([part / "ids.bin" for part in parts], out / "ids.bin")
    with open(out / "offsets.bin", "wb") as offsets, open(out / "streams.bin", "wb") as streams:
        np.zeros(1, np.int64).tofile(offsets)
        for part, index in zip(parts, indexes, strict=True):
            (np.fromfile(part / "offsets.bin", np.int64)[1:] + base).tofile(offsets)
            base += index["tokens"]
            place = [names.setdefault(name, len(names)) for name in index["streams"]]
            np.asarray(place, np.uint16)[np.fromfile(part / "streams.bin", np.uint16)].tofile(streams)
            for name, row in index["by_stream"].items():
                counts[name].update(row)
    if any(index["trained_tokens"] < index["tokens"] for index in indexes):
        _gather_masks(parts, indexes, out / "mask.bin")
    meta = {name: indexes[0][name] for name in ("format", "vocab_size", "tokenizer_digest", "dtype")}
    return write_index(out, meta, list(names), counts)


def _append(sources: Sequence[Path], target: Path) -> None:
    if len(sources) == 1:
        second_name(sources[0], target)
        return
    with open(target, "wb") as out:
        for source in sources:
            with open(source, "rb") as file:
                _copy(file, out)


def _copy(file: BinaryIO, out: BinaryIO) -> None:
    """What is left of `file` to the end of `out`, where the system can, without passing through this process."""
    out.flush()
    try:
        while os.copy_file_range(file.fileno(), out.fileno(), 1 << 30):
            pass
    except (AttributeError, OSError):  # not Linux, or a file system that cannot; both files stand where it stopped
        shutil.copyfileobj(file, out, _BLOCK)


def _gather_masks(parts: Sequence[Path], indexes: Sequence[dict[str, Any]], target: Path) -> None:
    """The loss masks; a part without the file trains all of its tokens."""
    with open(target, "wb") as out:
        for part, index in zip(parts, indexes, strict=True):
            if (part / "mask.bin").is_file():
                with open(part / "mask.bin", "rb") as file:
                    _copy(file, out)
            else:
                write_ones(out, index["tokens"])
