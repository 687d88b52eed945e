"""Web archives to documents: which files, how they are cut into jobs, and how the jobs' parts come together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..artifacts.document_shards import gather_documents
from ..core.errors import InputError, RecipeError
from ..core.params import all_values
from ..core.shards import Shard
from ..core.stage import Artifact, Runtime
from .archive_shard import open_archive
from .files import matching_files

JOB_BYTES = 32 << 20
"""Packed bytes a job. How files are cut depends on their bytes alone."""
_SUFFIXES = (".warc", ".wet", ".arc")
_PACKED = (".gz", ".zst", ".lz4")
_READ = "sampan.crawl.archive_shard:read_shard"


def crawl(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write documents and return metrics; InputError if no record can be read in any of the files."""
    check_extractor(params.extractor)
    files = [file for source in sources for file in matching_files(source, params.paths, is_archive)]
    jobs = archive_jobs(files, params)
    shards = runtime.shards("read", _READ, jobs, weights=[_size(job) for job in jobs], unit="bytes")
    shards = _mended(jobs, shards, runtime)
    records = sum((Counter(shard.facts["records"]) for shard in shards), Counter())
    if not records:
        raise InputError(
            "no record of a web archive can be read",
            where=", ".join(map(str, files[:3])),
            how="WARC, WET and ARC are read, plain or with .gz, .zst or .lz4; choose files with `paths`.",
        )
    summary = gather_documents(shards, runtime.out)
    return {
        "files": len(files),
        "records": dict(sorted(records.items())),
        "mended": sum(shard.facts["mended"] for shard in shards),
        "cut": sum(shard.facts["cut"] for shard in shards),
        "documents": summary["documents"],
        "text_bytes": summary["text_bytes"],
    }


def check_extractor(name: str) -> None:
    """RecipeError if the extractor is not installed."""
    if name not in ("accuracy", "trafilatura"):
        return
    try:
        import trafilatura  # noqa: F401
    except ImportError as error:
        raise RecipeError(
            f"trafilatura cannot be imported ({str(error).splitlines()[0]})",
            how="Run `pip install 'sampan[trafilatura]' lxml_html_clean`.",
        ) from None


def is_archive(path: Path) -> bool:
    name = path.name
    for suffix in _PACKED:
        name = name.removesuffix(suffix)
    return name.endswith(_SUFFIXES) and not name.endswith(".warc.wat")


def archive_jobs(files: Sequence[Path], params: Any, job_bytes: int = JOB_BYTES) -> list[dict[str, Any]]:
    """Jobs that together hold every file once, in order: small files together, a large one cut where records begin.

    A cut is made where the bytes look like a record's beginning, which can be wrong (an archive inside an archive); the
    job before it finds that out, and `crawl` then reads that file again in one piece.
    """
    given = all_values(params)
    jobs: list[dict[str, Any]] = []
    room = 0
    for file in files:
        size = file.stat().st_size
        if size >= 2 * job_bytes and not params.max_documents:
            archive, _ = open_archive(file)
            with archive:
                cuts = archive.cuts(job_bytes)
            for start, end in pairwise(cuts):
                jobs.append({"params": given, "parts": [_part(file, start, end)]})
            room = 0
        elif jobs and size <= room:
            jobs[-1]["parts"].append(_part(file, 0, size))
            room -= size
        else:
            jobs.append({"params": given, "parts": [_part(file, 0, size)]})
            room = job_bytes - size
    return jobs


def _mended(jobs: Sequence[dict[str, Any]], shards: Sequence[Shard], runtime: Runtime) -> list[Shard]:
    """The shards, those of a file that was cut in a wrong place replaced by one that read it in one piece."""
    wrong: dict[str, dict[str, Any]] = {}
    for job, shard in zip(jobs, shards, strict=True):
        part, stopped = job["parts"][-1], shard.facts["parts"][-1]["stopped"]
        size = Path(part["file"]).stat().st_size
        if stopped != part["end"] and part["end"] != size:
            wrong[part["file"]] = {**job, "parts": [_part(Path(part["file"]), 0, size)]}
    again = runtime.shards("read-again", _READ, list(wrong.values())) if wrong else []
    whole = dict(zip(wrong, again, strict=True))
    kept = []
    for job, shard in zip(jobs, shards, strict=True):
        part = job["parts"][0]
        if part["file"] not in whole:
            kept.append(shard)
        elif part["start"] == 0:
            kept.append(whole[part["file"]])
    return kept


def _part(file: Path, start: int, end: int) -> dict[str, Any]:
    return {"file": str(file), "start": start, "end": end}


def _size(job: dict[str, Any]) -> int:
    return sum(part["end"] - part["start"] for part in job["parts"])
