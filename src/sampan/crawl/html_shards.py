"""Folders of HTML files to documents: the pages of one stretch of files, and how the stretches come together."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..artifacts.document_shards import gather_documents
from ..artifacts.documents import Document, DocumentWriter
from ..artifacts.tables import open_bytes
from ..core.errors import InputError
from ..core.params import all_values, parse_params
from ..core.stage import Artifact, Runtime
from .archive import check_extractor
from .archive_shard import LeftOut, page_text
from .files import matching_files, row_name
from .html import Params, is_page, plain_name

JOB_BYTES = 32 << 20
JOB_FILES = 2000


def crawl(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write documents and return metrics; InputError if no page becomes one."""
    check_extractor(params.extractor)
    jobs = _jobs(params, sources)
    shards = runtime.shards(
        "read", "sampan.crawl.html_shards:read_shard", jobs, weights=[job["bytes"] for job in jobs], unit="bytes"
    )
    summary = gather_documents(shards, runtime.out)
    files = sum(len(job["files"]) for job in jobs)
    if not summary["documents"]:
        raise InputError(
            f"none of {files} pages became a document (dropped: {summary['dropped']})",
            where=", ".join(source.name for source in sources),
        )
    return {
        "files": files,
        "documents": summary["documents"],
        "cut": sum(shard.facts["cut"] for shard in shards),
        "text_bytes": summary["text_bytes"],
    }


def read_shard(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write the documents of the files in `job["files"]`."""
    params = parse_params(Params, job["params"], where="crawl.html")
    cut = 0
    with DocumentWriter(out) as writer:
        for item in job["files"]:
            try:
                document = _document(params, item)
            except LeftOut as reason:
                writer.drop(str(reason), "", item["name"], source=params.source)
                continue
            writer.write(document)
            cut += "cut" in document.meta
    return {"files": len(job["files"]), "cut": cut}


def _jobs(params: Any, sources: Sequence[Artifact]) -> list[dict[str, Any]]:
    given = all_values(params)
    jobs: list[dict[str, Any]] = []
    for source in sources:
        for file in matching_files(source, params.paths, is_page):
            size = file.stat().st_size
            inside = file.name if file == source.path else file.relative_to(source.path).as_posix()
            item = {"file": str(file), "name": row_name(source, file, str(file)), "inside": inside}
            full = not jobs or jobs[-1]["bytes"] + size > JOB_BYTES or len(jobs[-1]["files"]) >= JOB_FILES
            if full:
                jobs.append({"params": given, "files": [], "bytes": 0})
            jobs[-1]["files"].append(item)
            jobs[-1]["bytes"] += size
    return jobs


def _document(params: Any, item: Mapping[str, str]) -> Document:
    url = params.url_prefix + quote(plain_name(item["inside"]), safe="/%?=&") if params.url_prefix else ""
    try:
        text, meta = page_text(params, _payload(params, Path(item["file"])), "", url)
    except (ValueError, LookupError, TypeError):
        raise LeftOut("unparsable") from None
    if not text.strip():
        raise LeftOut("no_text")
    return Document(
        id=item["name"],
        text=text,
        source=params.source,
        url=url,
        license=params.license,
        meta=meta,
    )


def _payload(params: Any, file: Path) -> bytes:
    try:
        with open_bytes(file) as stream:
            payload = stream.read(params.max_page_bytes + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise LeftOut("damaged") from None
    if len(payload) > params.max_page_bytes:
        raise LeftOut("too_large")
    if len(payload) < params.min_page_bytes:
        raise LeftOut("too_small" if payload else "empty")
    return payload
