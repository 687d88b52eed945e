"""The work of corpus.split."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from ..artifacts.documents import Document, DocumentWriter, read_documents
from ..core.errors import InputError, RecipeError
from ..core.identity import unit_interval
from ..core.stage import Artifact, Runtime
from ..lang.codes import normalise_code


def split(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write one part and return metrics; InputError if it is empty."""
    if not 0 <= params.held_out_share <= 1:
        raise RecipeError(f"held_out_share is a share in 0..1, not {params.held_out_share}")
    wanted = {normalise_code(code, where="languages") for code in params.languages}
    reasons: dict[int, str] = {}
    chosen = []
    for number, document in enumerate(_all(sources)):
        if wanted and document.language not in wanted:
            reasons[number] = "unwanted_language"
        elif (unit_interval(params.salt, document.id) < params.held_out_share) != (params.part == "held_out"):
            reasons[number] = "other_part"
        else:
            order = hashlib.sha256(f"sample\0{params.salt}\0{document.id}\0{document.text}".encode()).digest()
            chosen.append((document.language, order, number, len(document.text.encode())))
    for number in _over_the_limit(params, chosen):
        reasons[number] = "over_the_limit"
    with DocumentWriter(runtime.out) as writer:
        for number, document in enumerate(_all(sources)):
            if number in reasons:
                writer.drop(reasons[number], document.language)
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


def _over_the_limit(params: Any, chosen: list[tuple[str, bytes, int, int]]) -> Iterator[int]:
    """Numbers of the documents beyond a language's limits, the rest being a sample that no input order changes."""
    documents: dict[str, int] = defaultdict(int)
    size: dict[str, int] = defaultdict(int)
    for language, _, number, length in sorted(chosen):
        too_many = params.max_documents_per_language and documents[language] >= params.max_documents_per_language
        too_large = params.max_bytes_per_language and size[language] + length > params.max_bytes_per_language
        if too_many or too_large:
            yield number
        else:
            documents[language] += 1
            size[language] += length
