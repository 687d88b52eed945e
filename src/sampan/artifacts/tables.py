"""Rows on disk: Parquet shards that we write, and JSONL, Parquet or text files that we are given."""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..core.errors import InputError
from ..core.identity import tree_files

SHARD_BYTES = 64 << 20
ROW_GROUP = 4096
ROW_GROUP_BYTES = 4 << 20
"""A row group is held in memory several times over while it is written or read: it ends at this size or ROW_GROUP
rows, whichever comes first."""
PREVIEW = "preview.jsonl"
NOT_TABLES = ("summary.json", PREVIEW, "manifest.json", "mixture.json", "changes.jsonl")
PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 1000
SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet", ".txt")
LINES = (".jsonl", ".ndjson")
PACKED = (".gz", ".zst")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


Bad = Callable[[str, str, str], None]
"""Told of what cannot be read: a reason (`bad_json`, `not_utf8`, `damaged`), its place, and what is wrong there."""


def string_schema(columns: Sequence[str]):
    """A Parquet schema of plain string columns."""
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in columns])


class ParquetShards:
    """Writes rows in order into `shard-00000.parquet`, `shard-00001.parquet`, …; equal rows give equal bytes.

    The first rows also go, shortened, into `preview.jsonl`, so that they can be shown without a Parquet reader.
    """

    def __init__(self, folder: Path, schema: Any, *, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._schema, self._limit = folder, schema, shard_bytes
        self._rows: list[dict[str, Any]] = []
        self._writer, self._count, self._bytes, self._group_bytes = None, 0, 0, 0
        self._preview: list[str] = []

    def write(self, row: dict[str, Any], size: int) -> None:
        """Add a row; `size` is roughly its bytes."""
        self._rows.append(row)
        if len(self._preview) < PREVIEW_ROWS:
            short = {key: str(value)[:PREVIEW_CHARACTERS] for key, value in row.items()}
            self._preview.append(json.dumps(short, ensure_ascii=False) + "\n")
        self._bytes += size
        self._group_bytes += size
        if len(self._rows) >= ROW_GROUP or self._group_bytes >= ROW_GROUP_BYTES:
            self._flush()
        if self._bytes >= self._limit:
            self._end_shard()

    def close(self) -> None:
        if self._rows or self._count == 0:
            self._flush()
        self._end_shard()
        (self._folder / PREVIEW).write_text("".join(self._preview), encoding="utf-8")

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            path = self._folder / f"shard-{self._count:05d}.parquet"
            self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._count += 1
        if self._rows:
            columns = [_strings([row.get(name) for row in self._rows]) for name in self._schema.names]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._rows, self._group_bytes = [], 0

    def _end_shard(self) -> None:
        if self._rows:
            self._flush()
        if self._writer is not None:
            self._writer.close()
        self._writer, self._bytes = None, 0


def _strings(values: list[str | None]) -> Any:
    """An Arrow array of strings. Made of bytes, because `pyarrow.array` first imports pandas where it is installed,
    which takes longer than many a stage."""
    import numpy as np
    import pyarrow as pa

    if None in values:
        return pa.array(values, pa.string())
    encoded = [value.encode("utf-8") for value in values if value is not None]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    if ends[-1] >= 1 << 31:
        return pa.array(values, pa.string())
    offsets = pa.py_buffer(ends.astype(np.int32).tobytes())
    return pa.StringArray.from_buffers(len(values), offsets, pa.py_buffer(b"".join(encoded)))


def table_files(path: Path) -> list[Path]:
    """The table files of a path: itself, or every table file below a folder, sorted. InputError if there is none."""
    if path.is_file():
        return [path]
    if not path.exists():
        raise InputError("no such file or folder", where=str(path))
    found = [path / name for name in tree_files(path) if file_kind(Path(name))]
    if not found:
        raise InputError(
            "no table in this folder",
            where=str(path),
            how=f"Looked for {', '.join(SUFFIXES)}, plain or with .gz or .zst.",
        )
    return found


def file_kind(path: Path) -> str:
    """`.jsonl`, `.parquet`, … without any compression suffix, or '' if the file is no table."""
    name = path.name[: -len(path.suffix)] if path.suffix in PACKED else path.name
    kind = Path(name).suffix
    return kind if kind in SUFFIXES and path.name not in NOT_TABLES else ""


def read_rows(
    path: Path, bad: Bad | None = None, span: Sequence[int] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a file or folder with their place (`file:line`), in the order of file names and lines; of plain JSON
    Lines those of a `span` alone: the bytes where its lines begin and end, and how many are before them.

    What cannot be read is an InputError; with `bad`, that is told of it, and reading goes on after it.
    """
    for file in table_files(path):
        kind = file_kind(file)
        if kind == ".parquet":
            yield from parquet_rows(file, bad=bad)
        elif kind == ".json":
            yield from _json_rows(file, bad)
        elif kind in LINES:
            yield from _jsonl_rows(file, bad, span)
        elif kind == ".txt":
            yield from _text_rows(file, bad)
        else:
            raise InputError("not a table", where=str(file), how=f"Give one of {', '.join(SUFFIXES)}.")


def with_id(row: dict[str, Any], path: Path, place: str) -> dict[str, Any]:
    """The row, with its place below `path` as id if it has none: an id that names nothing of this machine."""
    if row.get("id") is not None and row["id"] != "":
        return row
    base = path if path.is_dir() else path.parent
    return {**row, "id": place.removeprefix(f"{base}/")}


def parse_json(text: str) -> Any:
    """The value of a JSON text, with U+FFFD for the halves of surrogate pairs, which no file can hold."""
    value = json.loads(text)
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def meta_of(row: dict[str, Any]) -> dict[str, Any]:
    """The row's `meta`: an object, its JSON text, or pairs; anything else is kept whole under the name `meta`."""
    meta = given = row.get("meta")
    if isinstance(given, str):
        try:
            meta = parse_json(given) if given else {}
        except (ValueError, RecursionError):
            meta = given
    if isinstance(meta, dict):
        return dict(meta)
    if isinstance(meta, list) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in meta
    ):
        return dict(meta)  # a Parquet map
    return {"meta": given} if given else {}


def meta_text(meta: dict[str, Any]) -> str:
    """The JSON text of a meta, '' if it is empty. Dates, decimals and bytes of Parquet columns become strings."""
    return json.dumps(meta, ensure_ascii=False, sort_keys=True, default=str) if meta else ""


def language_of(row: dict[str, Any]) -> str:
    """The row's `language` or `lang` as written there, '' if it has none; several are joined by a comma."""
    value = row.get("language") or row.get("lang") or ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def open_bytes(path: Path) -> BinaryIO:
    """A byte stream of a plain, .gz or .zst file."""
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".zst":
        from .zstd_stream import ZstdStream

        return io.BufferedReader(ZstdStream(path))
    return open(path, "rb")


def read_lines(path: Path, bad: Bad | None = None, span: Sequence[int] | None = None) -> Iterator[tuple[str, str]]:
    """Lines of a text file, or of a `span` of it (see `read_rows`), with their place; InputError names the line that is
    not UTF-8 or where a stream breaks, or `bad` is told."""
    number = span[2] if span else 0
    try:
        with open_bytes(path) as file:
            for number, raw in _raw_lines(file, span):
                line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    what = f"not UTF-8 ({error.reason}: byte 0x{error.object[error.start]:02x})"
                    how = "Convert the file to UTF-8, for instance with iconv."
                    _wrong(bad, "not_utf8", what, f"{path}:{number}", how)
                    continue
                yield f"{path}:{number}", text.rstrip("\r\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        what = f"the compressed stream is damaged or cut off ({error})"
        _wrong(bad, "damaged", what, f"{path}:{number + 1}", "Fetch the file again.")


def _raw_lines(file: BinaryIO, span: Sequence[int] | None) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, from 1."""
    if span is None:
        yield from enumerate(file, 1)
        return
    place, end, before = span
    file.seek(place)
    for number, raw in enumerate(file, before + 1):
        yield number, raw
        place += len(raw)
        if place >= end:
            return


def _wrong(bad: Bad | None, reason: str, what: str, where: str, how: str = "") -> None:
    """Tell `bad`, or raise InputError if there is none."""
    if bad is None:
        raise InputError(what, where=where, how=how) from None
    bad(reason, where, what)


def _jsonl_rows(path: Path, bad: Bad | None, span: Sequence[int] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, line in read_lines(path, bad, span):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except json.JSONDecodeError as error:
            _wrong(bad, "bad_json", f"not JSON ({error.msg} at column {error.colno})", place)
        except (ValueError, RecursionError) as error:
            _wrong(bad, "bad_json", f"JSON that cannot be read ({error})", place)
        else:
            if isinstance(row, dict):
                yield place, row
            else:
                _wrong(bad, "bad_json", "a line must hold one JSON object", place)


def _json_rows(path: Path, bad: Bad | None) -> Iterator[tuple[str, dict[str, Any]]]:
    text = "\n".join(line for _, line in read_lines(path, bad))
    try:
        rows = parse_json(text)
    except json.JSONDecodeError as error:
        _wrong(bad, "bad_json", f"not JSON ({error.msg})", f"{path}:{error.lineno}")
        return
    except (ValueError, RecursionError) as error:
        _wrong(bad, "bad_json", f"JSON that cannot be read ({error})", str(path))
        return
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
        place = f"{path}, item {number}"
        if isinstance(row, dict):
            yield place, row
        else:
            _wrong(bad, "bad_json", "the file must hold a list of JSON objects", place)


def _text_rows(path: Path, bad: Bad | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """A text file holds documents separated by blank lines."""
    start, block = "", []
    for place, line in read_lines(path, bad):
        if line.strip():
            start = start or place
            block.append(line)
        elif block:
            yield start, {"text": "\n".join(block)}
            start, block = "", []
    if block:
        yield start, {"text": "\n".join(block)}


def parquet_rows(
    path: Path, groups: Sequence[int] = (), bad: Bad | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a Parquet file with their place; `groups` = (first, end) reads only these row groups. What cannot be read
    is an InputError, or `bad` is told of it and the rest of the groups left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        file = pq.ParquetFile(path)
        first, end = groups or (0, file.num_row_groups)
        number = sum(file.metadata.row_group(group).num_rows for group in range(first))
        for batch in file.iter_batches(batch_size=1024, row_groups=range(first, end)):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # the last two: a value Python cannot hold
        reason = str(error).partition("\n")[0]
        where = f"{path}, row {number + 1}" if bad and number else str(path)
        _wrong(bad, "damaged", f"not a readable Parquet file ({reason})", where)
