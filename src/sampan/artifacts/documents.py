"""Documents: one text with where it came from, in Parquet shards beside a summary of what was kept and dropped."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.stage import Artifact
from .tables import ParquetShards, language_of, meta_of, meta_text, read_rows, string_schema, with_id

COLUMNS = ("id", "text", "language", "script", "source", "url", "license", "quality", "meta")
MAX_DROP_EXAMPLES = 3
"""Samples kept of each reason and language."""
EXAMPLE_CHARACTERS = 400


@dataclass(slots=True)
class Document:
    """A text and its provenance. `language` is like `tha_Thai`, or '' while unknown; `quality` is a bucket name."""

    id: str
    text: str
    language: str = ""
    script: str = ""
    source: str = ""
    url: str = ""
    license: str = ""
    quality: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, str]:
        row = {name: getattr(self, name) for name in COLUMNS}
        row["meta"] = meta_text(self.meta)
        return row


class DocumentWriter:
    """Writes kept documents in order, counts them by language, and counts every drop by reason and language.

    Use as a context manager; `summary.json` is written when it closes without an error.
    """

    def __init__(self, folder: Path) -> None:
        self._shards = ParquetShards(folder, string_schema(COLUMNS))
        self._folder = folder
        self._kept: dict[str, Counter[str]] = defaultdict(Counter)
        self._sources: Counter[str] = Counter()
        self._by_both: dict[str, Counter[str]] = defaultdict(Counter)
        self._dropped_by_both: dict[str, Counter[str]] = defaultdict(Counter)
        self._licenses: dict[str, Counter[str]] = defaultdict(Counter)
        self._dropped: dict[str, Counter[str]] = defaultdict(Counter)
        self._dropped_sources: dict[str, Counter[str]] = defaultdict(Counter)
        self._samples: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    def write(self, document: Document) -> None:
        size = len(document.text.encode("utf-8"))
        kept = self._kept[document.language]
        kept["documents"] += 1
        kept["characters"] += len(document.text)
        kept["text_bytes"] += size
        self._sources[document.source] += 1
        self._by_both[document.language][document.source] += 1
        self._licenses[document.license][document.source] += 1
        self._shards.write(document.row(), size)

    def drop(self, reason: str, language: str = "", example: str = "", *, source: str = "") -> None:
        """Count one document that is left out. `reason` is a short stable name such as `too_short`; `example` is what
        a person would look at: the text, or a URL or id where there is no text."""
        self._dropped[reason][language] += 1
        self._dropped_sources[reason][source] += 1
        self._dropped_by_both[language][source] += 1
        samples = self._samples[reason][language]
        if example and len(samples) < MAX_DROP_EXAMPLES:
            samples.append(example[:EXAMPLE_CHARACTERS])

    def summary(self) -> dict[str, Any]:
        total = sum(self._kept.values(), Counter())
        return {
            "documents": total["documents"],
            "characters": total["characters"],
            "text_bytes": total["text_bytes"],
            "by_language": {k: dict(v) for k, v in sorted(self._kept.items())},
            "by_source": dict(sorted(self._sources.items())),
            "by_language_and_source": {k: dict(sorted(c.items())) for k, c in sorted(self._by_both.items())},
            "licenses": sorted(filter(None, self._licenses)),
            "by_license": {name: dict(sorted(c.items())) for name, c in sorted(self._licenses.items())},
            "dropped": {r: dict(sorted(c.items())) for r, c in sorted(self._dropped.items())},
            "dropped_documents": sum(sum(c.values()) for c in self._dropped.values()),
            "dropped_by_source": {r: dict(sorted(c.items())) for r, c in sorted(self._dropped_sources.items())},
            "dropped_by_language_and_source": {
                k: dict(sorted(c.items())) for k, c in sorted(self._dropped_by_both.items())
            },
            "dropped_examples": {r: dict(sorted(by.items())) for r, by in sorted(self._samples.items())},
        }

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._shards.close()
        if kind is None:
            (self._folder / "summary.json").write_text(
                json.dumps(self.summary(), ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8"
            )


def read_documents(source: Artifact | Path) -> Iterator[Document]:
    """Documents of an artifact, or of a JSONL, Parquet or text file (or folder of them) from outside, in order.

    Rows from outside need a `text` column; other columns of COLUMNS are used when present and anything else goes to
    `meta`. `lang` is accepted for `language`. InputError names the file and line of a bad row.
    """
    path = source.path if isinstance(source, Artifact) else source
    for place, row in read_rows(path):
        yield document_of(with_id(row, path, place), place)


def read_summary(source: Artifact | Path) -> dict[str, Any]:
    """The counts beside an artifact's documents, {} for documents from outside."""
    path = (source.path if isinstance(source, Artifact) else source) / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def document_of(row: dict[str, Any], place: str) -> Document:
    """The document of one row that has an `id`; InputError names `place` if it has no text."""
    text = row.get("text")
    if not isinstance(text, str):
        raise InputError(
            "a document needs a string column 'text'", where=place, how=f"This row has: {', '.join(sorted(row))}."
        )
    meta = meta_of(row)
    meta.update({k: v for k, v in row.items() if k not in COLUMNS and k != "lang" and v is not None})
    return Document(
        id=str(row["id"]),
        text=text,
        meta=meta,
        language=language_of(row),
        **{name: str(row.get(name) or "") for name in ("script", "source", "url", "license", "quality")},
    )


def write_documents(folder: Path, documents: Iterable[Document]) -> dict[str, Any]:
    """Write all of `documents` and return the summary."""
    with DocumentWriter(folder) as writer:
        for document in documents:
            writer.write(document)
    return writer.summary()
