"""The work of corpus.split."""

from __future__ import annotations

import hashlib
import struct
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ..artifacts.documents import Document, DocumentWriter, read_documents
from ..core.errors import InputError, RecipeError
from ..core.identity import unit_interval
from ..core.stage import Artifact, Runtime
from ..lang.codes import normalise_code

_PLACE = struct.Struct(">QQ")
"""A document's number and its bytes."""


def split(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write one part and return metrics; InputError if it is empty."""
    if not 0 <= params.held_out_share <= 1:
        raise RecipeError(f"held_out_share is a share in 0..1, not {params.held_out_share}")
    wanted = {normalise_code(code, where="languages") for code in params.languages}
    limited = params.max_documents_per_language or params.max_bytes_per_language
    sample = _sample(params, wanted, sources) if limited else None
    with DocumentWriter(runtime.out) as writer:
        for number, document in enumerate(_all(sources)):
            reason = _reason(params, wanted, document)
            if not reason and sample is not None and number not in sample:
                reason = "over_the_limit"
            if reason:
                writer.drop(reason, document.language)
            else:
                writer.write(document)
            if number % 1024 == 0:
                runtime.progress(number, None, "documents")
        summary = writer.summary()
    if not summary["documents"]:
        raise InputError(
            f"no document is left (dropped: {summary['dropped']})",
            where=", ".join(source.name for source in sources),
            how="Raise `held_out_share`, or check `languages`.",
        )
    return {name: summary[name] for name in ("documents", "text_bytes")}


def _all(sources: Sequence[Artifact]) -> Iterator[Document]:
    for source in sources:
        yield from read_documents(source)


def _reason(params: Any, wanted: Collection[str], document: Document) -> str:
    """Why a document is not on this side, "" if it is."""
    if wanted and document.language not in wanted:
        return "unwanted_language"
    held_out = unit_interval(params.salt, document.id) < params.held_out_share
    return "other_part" if held_out != (params.part == "held_out") else ""


def _sample(params: Any, wanted: Collection[str], sources: Sequence[Artifact]) -> set[int]:
    """Numbers of the documents within each language's limits, a sample that no input order changes. Of every document
    on this side 32 bytes are held while it is drawn, and nothing where there is no limit."""
    drawn: dict[str, list[bytes]] = defaultdict(list)
    for number, document in enumerate(_all(sources)):
        if not _reason(params, wanted, document):
            order = hashlib.sha256(f"sample\0{params.salt}\0{document.id}\0{document.text}".encode()).digest()
            drawn[document.language].append(order[:16] + _PLACE.pack(number, len(document.text.encode())))
    kept = set()
    for rows in drawn.values():
        documents = size = 0
        for row in sorted(rows):
            number, length = _PLACE.unpack_from(row, 16)
            too_many = params.max_documents_per_language and documents >= params.max_documents_per_language
            too_large = params.max_bytes_per_language and size + length > params.max_bytes_per_language
            if not (too_many or too_large):
                kept.add(number)
                documents, size = documents + 1, size + length
    return kept
