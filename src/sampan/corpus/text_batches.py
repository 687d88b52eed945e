"""The texts of a job in batches, with each one's stream and bytes: as Arrow columns where the file allows it.

A Parquet file whose columns are plain strings, as every stage here writes them, is read without a Python object per row
other than the text. Everything else goes through `read_part`, which knows the other shapes and explains what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.document_shards import read_part
from ..artifacts.documents import Document
from ..core.errors import InputError

UNKNOWN_STREAM = "und"
"""Stream of texts without a language."""
ROWS = 1024
BATCH_BYTES = 16 << 20
"""A batch of Arrow rows is cut so that its text stays about below this."""
_COLUMNS = ("text", "language", "quality", "license")


@dataclass
class TextBatch:
    """D texts in order: `bytes_D` UTF-8 bytes, `stream_D` the place of each one's stream in `streams`."""

    texts: list[str]
    bytes_D: np.ndarray
    streams: list[str]
    stream_D: np.ndarray
    licenses: set[str] = field(default_factory=set)
    documents: list[Document] | None = None
    """The documents themselves, where they were asked for."""


def text_batches(part: Mapping[str, Any], params: Any, *, documents: bool = False) -> Iterator[TextBatch]:
    """The documents of one part of a job of `document_jobs`; `documents` asks for them whole. InputError names the file
    and line of a bad row."""
    if not documents and "groups" in part and (columns := _plain_columns(Path(part["file"]))):
        yield from _arrow_batches(part, columns, params)
        return
    rows = read_part(part)
    while found := list(islice(rows, ROWS)):
        names = [stream_name(params, document.language, document.quality) for document in found]
        streams = list(dict.fromkeys(names))
        place = {name: number for number, name in enumerate(streams)}
        yield TextBatch(
            texts=[document.text for document in found],
            bytes_D=np.fromiter((len(document.text.encode()) for document in found), np.int64, len(found)),
            streams=streams,
            stream_D=np.fromiter((place[name] for name in names), np.int64, len(found)),
            licenses={document.license for document in found if document.license},
            documents=found,
        )


def stream_name(params: Any, language: str, quality: str) -> str:
    """Name of a document's stream under the params `stream_name` and `stream_by`."""
    language = language or UNKNOWN_STREAM
    if params.stream_name:
        return params.stream_name
    return language if params.stream_by == "language" or not quality else f"{language}/{quality}"


def _plain_columns(file: Path) -> list[str]:
    """The columns to read if the file holds plain strings under our names and no null text, else []."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = pq.ParquetFile(file)
    schema, meta = found.schema_arrow, found.metadata
    columns = [name for name in _COLUMNS if name in schema.names]
    strings = all(pa.types.is_string(schema.field(name).type) for name in columns)
    if not strings or "text" not in columns or "language" not in columns or "lang" in schema.names:
        return []
    for group in map(meta.row_group, range(meta.num_row_groups)):
        (text,) = (c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == "text")
        if text.statistics is None or text.statistics.null_count:
            return []
    return columns


def _arrow_batches(part: Mapping[str, Any], columns: Sequence[str], params: Any) -> Iterator[TextBatch]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    first, end = part["groups"]
    try:
        for rows in pq.ParquetFile(part["file"]).iter_batches(ROWS, row_groups=range(first, end), columns=columns):
            for batch in _cut(rows):
                text = batch.column("text")
                streams, stream_D = _streams(batch, params)
                known = pc.unique(batch.column("license")).to_pylist() if "license" in columns else []
                yield TextBatch(
                    texts=text.to_pylist(),
                    bytes_D=pc.binary_length(text).to_numpy(zero_copy_only=False).astype(np.int64),
                    streams=streams,
                    stream_D=stream_D,
                    licenses={name for name in known if name},
                )
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"not a readable Parquet file ({reason})", where=part["file"]) from None


def _cut(batch: Any) -> Iterator[Any]:
    """The batch, or slices of it where its texts are long."""
    pieces = max(1, -(-batch.column("text").nbytes // BATCH_BYTES))
    step = max(1, -(-batch.num_rows // pieces))
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


def _streams(batch: Any, params: Any) -> tuple[list[str], np.ndarray]:
    """Names of the streams in the batch, and the stream of each row."""
    languages, language_D = _codes(batch.column("language"))
    qualities, quality_D = _codes(batch.column("quality")) if "quality" in batch.schema.names else ([""], 0)
    pair_D = language_D * len(qualities) + quality_D
    found_U, stream_D = np.unique(pair_D, return_inverse=True)
    names = [divmod(pair, len(qualities)) for pair in found_U.tolist()]
    return [stream_name(params, languages[a], qualities[b]) for a, b in names], stream_D


def _codes(column: Any) -> tuple[list[str], np.ndarray]:
    """The distinct values of a string column ('' for null), and the number of each row's value."""
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(pc.fill_null(column, ""))
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
