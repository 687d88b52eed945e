"""Tables to documents: the rows of one stretch of files, and how the stretches come together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..artifacts.document_shards import document_jobs, gather_documents
from ..artifacts.documents import Document, DocumentWriter, document_of
from ..artifacts.tables import SHARD_BYTES, file_kind, parquet_rows, read_rows
from ..core.errors import InputError, RecipeError
from ..core.params import all_values, parse_params
from ..core.stage import EXTERNAL, Artifact, Runtime
from ..lang.codes import normalise_code
from .files import matching_files, row_name

JOB_BYTES = SHARD_BYTES // 2
"""Bytes of text a job; a Parquet file is cut between row groups, other files are not cut."""


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
    if not summary["documents"]:
        raise InputError(
            f"none of {rows} rows became a document (dropped: {summary['dropped']})",
            where=", ".join(sorted({source.name for source, _ in files})),
            how="Check `languages` and the rows' `language`; `language` overrides it.",
        )
    return {"rows": rows, "files": len(files), "documents": summary["documents"], "text_bytes": summary["text_bytes"]}


def read_shard(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write the documents of the stretches in `job["parts"]`; facts are the rows read."""
    from .table import Params

    params = parse_params(Params, job["params"], where="crawl.table")
    rows = 0
    with DocumentWriter(out) as writer:
        for part in job["parts"]:
            rows += _read_part(params, part, writer)
    return {"rows": rows}


def _jobs(params: Any, files: Sequence[tuple[Artifact, Path]]) -> list[dict[str, Any]]:
    """Jobs over the files, in order; a file of which only the first rows are wanted is one job."""
    as_sources = [Artifact(path=file, kind=EXTERNAL, digest="", name=file.name) for _, file in files]
    if params.max_documents:
        jobs = [
            {"parts": [_whole(file, number)], "bytes": file.stat().st_size} for number, (_, file) in enumerate(files)
        ]
    else:
        jobs = document_jobs(as_sources, job_bytes=JOB_BYTES)
    given = all_values(params)
    for job in jobs:
        job["params"] = given
        for part in job["parts"]:
            source, file = files[part["source"]]
            part["row_name"] = row_name(source, file, str(file))
    return jobs


def _whole(file: Path, number: int) -> dict[str, Any]:
    return {"root": str(file), "file": str(file), "source": number}


def _read_part(params: Any, part: Mapping[str, Any], writer: DocumentWriter) -> int:
    """The number of rows read."""
    override, wanted = _code(params.language), {_code(code) for code in params.languages}
    given = {name: value for name in ("license", "source", "quality") if (value := getattr(params, name))}
    seen = kept = 0
    for document in _documents(part):
        seen += 1
        source = given.get("source", document.source)
        try:
            language = override or _code(document.language)
        except RecipeError:
            writer.drop("unknown_language", "", f"{document.language}: {document.id}", source=source)
            continue
        if wanted and language not in wanted:
            writer.drop("unwanted_language", language, document.text, source=source)
        elif not document.text.strip():
            writer.drop("empty", language, document.id, source=source)
        else:
            writer.write(replace(document, language=language, **given))
            kept += 1
        if params.max_documents and kept >= params.max_documents:
            break
    return seen


def _documents(part: Mapping[str, Any]) -> Iterator[Document]:
    file = Path(part["file"])
    for place, row in parquet_rows(file, part["groups"]) if "groups" in part else read_rows(file):
        name = row["id"] if row.get("id") not in (None, "") else part["row_name"] + place.removeprefix(str(file))
        yield document_of({**row, "id": name}, place)


def _code(code: str) -> str:
    return normalise_code(code, where="language") if code else ""
