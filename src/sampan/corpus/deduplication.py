"""The work of corpus.dedup: two passes over the documents, the first to find the sets, the second to write.

Rule: of each set the longest document stays (by characters that are not blanks), among equally long ones the one whose
id, then whose content, comes first. Neither the rule nor the sets depend on the order of the input; the output keeps
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.documents import Document, DocumentWriter, read_documents, read_summary
from ..core.errors import InputError, RecipeError
from ..core.identity import digest_value
from ..core.stage import Artifact, Runtime
from ..lang.codes import normalise_code
from .minhash import near_duplicates, signatures
from .shingles import digest, shingles

Rank = tuple[int, str, bytes]


def deduplicate(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write one document of each set and return metrics; InputError if there is no document."""
    if not 0 < params.threshold <= 1 or params.num_perm < 1 or min(params.word_ngram, params.cluster_ngram) < 1:
        raise RecipeError("threshold is in 0..1, num_perm, word_ngram and cluster_ngram are at least 1")
    total = sum(read_summary(source).get("documents", 0) for source in sources) or None
    firsts, seen = _exact(sources, runtime, total)
    if not seen:
        raise InputError("there is no document to deduplicate", where=", ".join(s.name for s in sources))
    reasons = dict.fromkeys(range(seen), "exact_duplicate")
    for number in firsts:
        del reasons[number]
    if params.method == "minhash":
        for number in _near(params, sources, runtime, firsts):
            reasons[number] = "near_duplicate"
    with DocumentWriter(runtime.out) as writer:
        for number, document in enumerate(_all(sources)):
            if number in reasons:
                writer.drop(reasons[number], document.language, f"{document.id}: {document.text[:120]}")
            else:
                writer.write(document)
        summary = writer.summary()
    return {
        "documents_in": seen,
        "documents": summary["documents"],
        "text_bytes": summary["text_bytes"],
        "dropped": {reason: sum(counts.values()) for reason, counts in summary["dropped"].items()},
    }


def _all(sources: Sequence[Artifact]) -> Iterator[Document]:
    for source in sources:
        yield from read_documents(source)


def _rank(document: Document) -> Rank:
    """Sorts the document to keep first."""
    return -sum(map(len, document.text.split())), document.id, bytes.fromhex(digest_value(document.row())[:32])


def _exact(sources: Sequence[Artifact], runtime: Runtime, total: int | None) -> tuple[dict[int, Rank], int]:
    """{number in the input: rank} of the one kept of each set of equal documents, and how many there were."""
    best: dict[bytes, tuple[Rank, int]] = {}
    number = -1
    for number, document in enumerate(_all(sources)):
        key, mine = digest(document.text), (_rank(document), number)
        best[key] = min(best.get(key, mine), mine)
        if number % 256 == 0:
            runtime.progress(number, total, "documents")
    return {number: rank for rank, number in sorted(best.values(), key=lambda item: item[1])}, number + 1


def _near(params: Any, sources: Sequence[Artifact], runtime: Runtime, firsts: dict[int, Rank]) -> list[int]:
    """Numbers of the documents to drop as near duplicates."""
    sets = _ShingleFile(runtime.state / "shingles.bin")
    numbers = list(firsts)
    documents = (document for number, document in enumerate(_all(sources)) if number in firsts)
    parts = []
    for part in signatures((sets.add(_shingles(params, document)) for document in documents), params.num_perm):
        parts.append(part)
        runtime.progress(sum(map(len, parts)), len(numbers), "documents")
    ranks = [firsts[number] for number in numbers]
    keys = [rank[2] for rank in ranks]
    roots = near_duplicates(np.concatenate(parts), sets.open(), keys, threshold=params.threshold)
    best: dict[int, int] = {}
    for place, root in enumerate(roots):
        best[root] = min(best.get(root, place), place, key=lambda item: ranks[item])
    sets.close()
    return [numbers[place] for place, root in enumerate(roots) if best[root] != place]


def _shingles(params: Any, document: Document) -> np.ndarray:
    try:
        language = normalise_code(document.language) if document.language else ""
    except RecipeError:
        language = ""
    return shingles(document.text, language, word_ngram=params.word_ngram, cluster_ngram=params.cluster_ngram)


class _ShingleFile:
    """Shingle sets of all documents on disk, so that memory holds only signatures."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._file, self._offsets = path, open(path, "wb"), [0]

    def add(self, hashes: np.ndarray) -> np.ndarray:
        self._file.write(hashes.tobytes())
        self._offsets.append(self._offsets[-1] + len(hashes))
        return hashes

    def open(self):
        """A function from a document's place to its shingles [S]."""
        self._file.close()
        data = np.memmap(self._path, np.uint64, "r") if self._offsets[-1] else np.empty(0, np.uint64)
        return lambda place: data[self._offsets[place] : self._offsets[place + 1]]

    def close(self) -> None:
        self._path.unlink()
