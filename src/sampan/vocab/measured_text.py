"""The text that tokenizers are measured on: by language, with what is the same text in other languages kept together.

Parallel text comes as documents whose id is equal in every language, or as rows with one column per language (FLORES,
NTREX, TALPCo), where the columns are named by any spelling of a language's code.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..artifacts.documents import document_of
from ..artifacts.tables import read_rows, with_id
from ..core.errors import StageError
from ..core.stage import Artifact, Runtime
from .selection import known_code, normalised

Texts = dict[str, dict[str, str]]
"""language -> {id of the text: text}; an id that two languages share is one text in both."""

_INDONESIAN = "ind_Latn"


def measured_texts(
    sources: Sequence[Artifact], runtime: Runtime, *, languages: Sequence[str], max_documents: int
) -> tuple[Texts, list[str]]:
    """At most `max_documents` texts of each language (all languages if none are named), and the rows' licences.

    Texts are chosen by a digest of their id, so what is parallel stays parallel. A second text of one language with the
    same id is measured but parallel to none. StageError if nothing has a language that is wanted.
    """
    wanted = set(normalised(languages))
    heaps: dict[str, list[tuple[int, str, str]]] = {}
    seen: dict[str, set[str]] = {}
    licenses: set[str] = set()
    for number, (language, name, text, license_) in enumerate(_texts(sources), 1):
        runtime.progress(number, None, "texts")
        if not text.strip() or not language or (wanted and language not in wanted):
            continue
        licenses |= {license_} - {""}
        ids = seen.setdefault(language, set())
        key = name if name not in ids else f"{name}\n{language} {number}"
        ids.add(name)
        heap = heaps.setdefault(language, [])
        entry = (-int.from_bytes(hashlib.blake2b(key.encode("utf-8"), digest_size=8).digest()), key, text)
        (heapq.heappush if len(heap) < max_documents else heapq.heappushpop)(heap, entry)
    if not heaps:
        raise StageError(
            "no text in a language that is wanted",
            how="Documents need a column `language` such as tha_Thai, or one column per language (en, th, vi, …).",
        )
    texts = {
        language: {key: text for _, key, text in sorted(heap, reverse=True)} for language, heap in sorted(heaps.items())
    }
    return texts, sorted(licenses)


def _texts(sources: Sequence[Artifact]) -> Iterator[tuple[str, str, str, str]]:
    """(language, id, text, licence) of every document and of every column of parallel rows."""
    for source in sources:
        for place, row in read_rows(source.path):
            columns = {} if "text" in row else language_columns(row)
            if columns:
                name = place.removeprefix(f"{source.path if source.path.is_dir() else source.path.parent}/")
                for language, text in columns.items():
                    yield language, name, text, str(row.get("license") or "")
            else:
                document = document_of(with_id(row, source.path, place), place)
                yield known_code(document.language), document.id, document.text, document.license


def language_columns(row: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a row with one column per language, by code; {} for a row that has none.

    A column `id` is Indonesian if it holds a sentence (a blank within), other columns are languages too, and none of
    them is Indonesian; else it is the row's name.
    """
    found = {known_code(name): text for name, text in row.items() if name != "id" and isinstance(text, str)}
    found.pop("", None)
    sentence = row.get("id")
    if found and _INDONESIAN not in found and isinstance(sentence, str) and " " in sentence.strip():
        found[_INDONESIAN] = sentence
    return found
