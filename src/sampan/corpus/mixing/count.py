"""The first pass: which source every document belongs to, and how large it is.

A shard leaves one row per document on disk (cell, place, size), so that choosing documents needs neither their text nor
their number in memory. A cell is a (source, quality) of one shard; a place is a number drawn from the document alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ...artifacts.document_shards import read_part
from ...artifacts.documents import Document

ROWS = "rows.npy"
ROW = np.dtype([("cell", np.uint32), ("place", np.uint64), ("size", np.int64)])
_BATCH = 256


def count_job(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write ROWS, in the order of the job's documents; facts: `cells` as [source, quality, documents, size]."""
    measure = _measure(job["tokenizer"])
    cells: dict[tuple[str, str], int] = {}
    totals: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    rows = []
    documents = job_documents(job)
    while batch := list(islice(documents, _BATCH)):
        texts = [document.text for _, document in batch]
        part = np.empty(len(batch), ROW)
        for row, (number, document), size in zip(part, batch, measure(texts), strict=True):
            key = (source_of(document, number, job["sources"]), document.quality)
            cell = cells.setdefault(key, len(cells))
            row["cell"], row["place"], row["size"] = cell, place(document, job["salt"]), size
            totals[cell][0] += 1
            totals[cell][1] += size
        rows.append(part)
    np.save(out / ROWS, np.concatenate(rows) if rows else np.empty(0, ROW))
    return {"cells": [[*key, *totals[cell]] for key, cell in cells.items()]}


def job_documents(job: Mapping[str, Any]) -> Iterator[tuple[int, Document]]:
    """(number of the input, document) of a job's documents, in order."""
    for part in job["parts"]:
        for document in read_part(part):
            yield part["source"], document


def source_of(document: Document, number: int, sources: Sequence[Mapping[str, Any]]) -> str:
    """Name of the first source that fits, else `N/LANGUAGE`."""
    for source in sources:
        if (
            (not source["inputs"] or number in source["inputs"])
            and (not source["languages"] or document.language in source["languages"])
            and (not source["sources"] or any(fnmatchcase(document.source, name) for name in source["sources"]))
        ):
            return source["name"]
    return f"{number}/{document.language}"


def place(document: Document, salt: str) -> int:
    """Where the document stands in the order in which its source is drawn on: 64 bits of a hash of id and text."""
    text = f"mix\0{salt}\0{document.id}\0{document.text}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def _measure(tokenizer: str) -> Callable[[list[str]], list[int]]:
    """A function from texts to sizes: tokens without BOS and EOS, or UTF-8 bytes."""
    if not tokenizer:
        return lambda texts: [len(text.encode()) for text in texts]
    from ...model.tokenizer import load_tokenizer

    fast = load_tokenizer(Path(tokenizer)).backend_tokenizer
    fast.no_truncation()
    fast.no_padding()
    return lambda texts: [len(item.ids) for item in fast.encode_batch_fast(texts, add_special_tokens=False)]
