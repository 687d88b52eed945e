"""Parts of token shards, each made by a job of its own, put end to end: the bytes that one writer would give."""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
    with open(target, "wb") as out:
        for source in sources:
            with open(source, "rb") as file:
                shutil.copyfileobj(file, out, _BLOCK)


def _gather_masks(parts: Sequence[Path], indexes: Sequence[dict[str, Any]], target: Path) -> None:
    """The loss masks; a part without the file trains all of its tokens."""
    with open(target, "wb") as out:
        for part, index in zip(parts, indexes, strict=True):
            if (part / "mask.bin").is_file():
                with open(part / "mask.bin", "rb") as file:
                    shutil.copyfileobj(file, out, _BLOCK)
            else:
                write_ones(out, index["tokens"])
