"""Tables to documents: the rows of one stretch of files, and how the stretches come together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..artifacts.document_shards import document_jobs, gather_documents
from ..artifacts.documents import Document, DocumentWriter, document_of
from ..artifacts.tables import SHARD_BYTES, file_kind, parquet_rows, read_rows
from ..core.errors import InputError, RecipeError, did_you_mean
from ..core.params import all_values, parse_params
from ..core.stage import EXTERNAL, Artifact, Runtime
from ..lang.codes import normalise_code
from .files import matching_files, row_name

JOB_BYTES = SHARD_BYTES // 2
"""Bytes of text a job; a Parquet file is cut between row groups, plain JSON Lines between lines, others are not."""
_NAMED = ("text", "id", "language", "url")
"""What a column can be named for with the parameter `…_column`."""
_MENDED_BY = {
    "not_utf8": "Convert the file to UTF-8, for instance with iconv.",
    "bad_json": "Give JSON Lines, one object a line.",
    "damaged": "Fetch the file again.",
}
_LOOKED_AT = 100
"""Rows of a part whose columns are remembered, to name them where a column is missing."""


def crawl(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write documents and return metrics; InputError if no row becomes one."""
    for code in (params.language, *params.languages):
        _code(code)
    files = [(s, f) for s in sources for f in matching_files(s, params.paths, lambda path: file_kind(path) != "")]
    jobs = _jobs(params, files)
    shards = runtime.shards(
        "read", "sampan.crawl.table_shards:read_shard", jobs, weights=[job["bytes"] for job in jobs], unit="bytes"
    )
    summary = gather_documents(shards, runtime.out)
    rows = sum(shard.facts["rows"] for shard in shards)
    where = ", ".join(sorted({source.name for source, _ in files}))
    columns = sorted({name for shard in shards for name in shard.facts["columns"]})
    _check_columns(params, {name for shard in shards for name in shard.facts["found"]}, columns, where)
    if not summary["documents"]:
        raise InputError(
            f"none of {rows} rows became a document (dropped: {summary['dropped']})",
            where=where,
            how=_way_out(summary, columns),
        )
    return {"rows": rows, "files": len(files), "documents": summary["documents"], "text_bytes": summary["text_bytes"]}


def _check_columns(params: Any, found: set[str], columns: Sequence[str], where: str) -> None:
    """RecipeError for a column that is named and that no row has."""
    for name in _NAMED:
        column = getattr(params, f"{name}_column")
        if column and column not in found and columns:
            how = f"{did_you_mean(column, columns)} The rows have: {', '.join(columns)}."
            raise RecipeError(f"`{name}_column`: no row has a column '{column}'", where=where, how=how)


def _way_out(summary: Mapping[str, Any], columns: Sequence[str]) -> str:
    """What to do where no row became a document: by its first sample for what cannot be read, else by its reason."""
    dropped = summary["dropped"]
    for reason in ("not_utf8", "bad_json", "damaged"):
        if reason in dropped:
            return f"{summary['dropped_examples'][reason][''][0]}. {_MENDED_BY[reason]}"
    if "no_text" in dropped:
        have = ", ".join(columns) or "none"
        return f"A row needs a string column 'text', or one that `text_column` names; the columns here are: {have}."
    return "Check `languages` and the rows' `language`; `language` overrides it, `language_column` names another."


def read_shard(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write the documents of the stretches in `job["parts"]`; facts are the rows read or given up, columns of theirs,
    and which of the columns that the parameters name were there."""
    from .table import Params

    params = parse_params(Params, job["params"], where="crawl.table")
    with DocumentWriter(out) as writer:
        reading = _Reading(params, writer)
        for part in job["parts"]:
            reading.read(part)
    return {"rows": reading.rows, "columns": sorted(reading.columns), "found": sorted(reading.found)}


def _jobs(params: Any, files: Sequence[tuple[Artifact, Path]]) -> list[dict[str, Any]]:
    """Jobs over the files, in order; a file of which only the first rows are wanted is one job."""
    as_sources = [Artifact(path=file, kind=EXTERNAL, digest="", name=file.name) for _, file in files]
    if params.max_documents or not all(_can_be_cut(file) for _, file in files):
        jobs = [
            {"parts": [_whole(file, number)], "bytes": file.stat().st_size} for number, (_, file) in enumerate(files)
        ]
    else:
        jobs = document_jobs(as_sources, job_bytes=JOB_BYTES, cut_lines=True)
    given = all_values(params)
    for job in jobs:
        job["params"] = given
        for part in job["parts"]:
            source, file = files[part["source"]]
            part["row_name"] = row_name(source, file, str(file))
    return jobs


def _whole(file: Path, number: int) -> dict[str, Any]:
    return {"root": str(file), "file": str(file), "source": number}


def _can_be_cut(file: Path) -> bool:
    """Whether row groups can be told; a damaged Parquet file is read whole, and counted."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file_kind(file) == ".parquet":
        try:
            pq.read_metadata(file)
        except (pa.ArrowException, OSError):
            return False
    return True


class _Reading:
    """The reading of the stretches of one job."""

    def __init__(self, params: Any, writer: DocumentWriter) -> None:
        self._params, self._writer = params, writer
        self._override, self._wanted = _code(params.language), {_code(code) for code in params.languages}
        self._given = {name: value for name in ("license", "source", "quality") if (value := getattr(params, name))}
        self._named = {name: column for name in _NAMED if (column := getattr(params, f"{name}_column"))}
        self.rows = 0
        self.columns: set[str] = set()
        self.found: set[str] = set()

    def read(self, part: Mapping[str, Any]) -> None:
        file, kept, name = Path(part["file"]), 0, part["row_name"].partition("/")[2] or Path(part["file"]).name

        def bad(reason: str, place: str, what: str) -> None:
            self.rows += 1
            self._drop(reason, f"{name}{place.removeprefix(str(file))}: {what}")

        rows = parquet_rows(file, part["groups"], bad) if "groups" in part else read_rows(file, bad, part.get("span"))
        for number, (place, row) in enumerate(rows):
            self.rows += 1
            if number < _LOOKED_AT:
                self.columns.update(row)
            row = self._renamed(row)
            place = place.removeprefix(str(file))
            if not isinstance(row.get("text"), str):
                self._drop("no_text", f"{name}{place}: the columns are {', '.join(sorted(row))}")
                continue
            row["id"] = row["id"] if row.get("id") not in (None, "") else part["row_name"] + place
            kept += self._take(document_of(row, place))
            if self._params.max_documents and kept >= self._params.max_documents:
                break

    def _renamed(self, row: dict[str, Any]) -> dict[str, Any]:
        row = dict(row)
        if self._named:
            self.found.update(column for column in self._named.values() if column in row)
            values = {name: row.get(column) for name, column in self._named.items()}
            for column in (*self._named.values(), *(["lang"] if "language" in values else [])):
                row.pop(column, None)
            row.update(values)
        return row

    def _drop(self, reason: str, example: str) -> None:
        self._writer.drop(reason, "", example, source=self._given.get("source", ""))

    def _take(self, document: Document) -> bool:
        """Whether the document was written."""
        source = self._given.get("source", document.source)
        try:
            language = self._override or _code(document.language)
        except RecipeError:
            self._writer.drop("unknown_language", "", f"{document.language}: {document.id}", source=source)
            return False
        if self._wanted and language not in self._wanted:
            self._writer.drop("unwanted_language", language, document.text, source=source)
        elif not document.text.strip():
            self._writer.drop("empty", language, document.id, source=source)
        else:
            self._writer.write(replace(document, language=language, **self._given))
            return True
        return False


def _code(code: str) -> str:
    return normalise_code(code, where="language") if code else ""
