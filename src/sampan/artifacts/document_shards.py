"""Documents shard by shard: cut an input into jobs, read a job's part, and put the parts' outputs together.

How an input is cut depends on its files alone, so that any number of workers gives the same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.shards import Shard
from ..core.stage import Artifact
from .documents import MAX_DROP_EXAMPLES, Document, document_of
from .tables import LINES, PREVIEW, PREVIEW_ROWS, SHARD_BYTES, file_kind, parquet_rows, read_rows, table_files, with_id

_TABLES = (
    "by_language",
    "by_language_and_source",
    "by_license",
    "dropped",
    "dropped_by_source",
    "dropped_by_language_and_source",
)
_COUNTED = 8 << 20
"""Bytes in which lines are counted at once."""
_PACKED_TIMES = 3
"""A packed text file unpacks to about so many times its size."""


def document_jobs(
    sources: Sequence[Artifact], *, job_bytes: int = SHARD_BYTES // 2, cut_lines: bool = False
) -> list[dict[str, Any]]:
    """Jobs `{"parts": [...], "bytes": n}` that together hold every document of `sources` once, in order.

    Whole files are put together up to about `job_bytes` of text; a larger Parquet file is cut between row groups, and
    with `cut_lines` larger JSON Lines, which are read once to count them, between lines.
    """
    jobs: list[dict[str, Any]] = []
    for number, source in enumerate(sources):
        for part in _parts(source, job_bytes, cut_lines):
            part["source"] = number
            if jobs and jobs[-1]["bytes"] + part["bytes"] <= job_bytes:
                jobs[-1]["parts"].append(part)
                jobs[-1]["bytes"] += part["bytes"]
            else:
                jobs.append({"parts": [part], "bytes": part["bytes"]})
    return jobs


def read_job(job: Mapping[str, Any]) -> Iterator[Document]:
    """The documents of one job of `document_jobs`, in order; ids as `read_documents` gives them."""
    for part in job["parts"]:
        yield from read_part(part)


def read_part(part: Mapping[str, Any]) -> Iterator[Document]:
    """The documents of one part; `part["source"]` is the number of the source it is of."""
    for place, row in part_rows(part):
        yield document_of(row, place)


def part_rows(part: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of one part with their places, each with an id."""
    root, file = Path(part["root"]), Path(part["file"])
    rows = parquet_rows(file, part["groups"]) if "groups" in part else read_rows(file)
    for place, row in rows:
        yield place, with_id(row, root, place)


def gather_documents(shards: Sequence[Shard], out: Path) -> dict[str, Any]:
    """Move the Parquet files of the shards into `out` in order, and merge their summaries; returns the summary.

    Each shard holds what a `DocumentWriter` wrote. Shards without documents leave no file, unless all are empty.
    """
    summaries = [_summary(shard.folder) for shard in shards]
    number = 0
    for shard, summary in zip(shards, summaries, strict=True):
        for file in sorted(shard.folder.glob("shard-*.parquet")):
            if summary["documents"] or (number == 0 and shard is shards[-1]):
                second_name(file, out / f"shard-{number:05d}.parquet")
                number += 1
    previews = [line for shard in shards for line in _lines(shard.folder / PREVIEW)]
    (out / PREVIEW).write_text("".join(previews[:PREVIEW_ROWS]), encoding="utf-8")
    merged = merge_summaries(summaries)
    (out / "summary.json").write_text(json.dumps(merged, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")
    return merged


def merge_summaries(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One summary of several of `DocumentWriter`: numbers add up, licences unite, the first examples stay."""
    merged: dict[str, Any] = {"licenses": [], "dropped_examples": {}}
    for name in ("documents", "characters", "text_bytes", "dropped_documents"):
        merged[name] = sum(summary[name] for summary in summaries)
    for name in _TABLES:
        merged[name] = _add_tables([summary.get(name, {}) for summary in summaries])
    merged["by_source"] = dict(sorted(sum((Counter(s["by_source"]) for s in summaries), Counter()).items()))
    merged["licenses"] = sorted({name for summary in summaries for name in summary["licenses"]})
    for summary in summaries:
        for reason, by_language in summary["dropped_examples"].items():
            for language, texts in by_language.items():
                kept = merged["dropped_examples"].setdefault(reason, {}).setdefault(language, [])
                kept.extend(texts[: MAX_DROP_EXAMPLES - len(kept)])
    return merged


def _parts(source: Artifact, job_bytes: int, cut_lines: bool) -> Iterator[dict[str, Any]]:
    for file in table_files(source.path):
        part = {"root": str(source.path), "file": str(file)}
        if file_kind(file) == ".parquet":
            yield from ({**part, **cut} for cut in _row_groups(file, job_bytes))
        elif cut_lines and file.suffix in LINES and file.stat().st_size > job_bytes:
            yield from ({**part, **cut} for cut in _line_spans(file, job_bytes))
        else:
            packed = file.suffix in (".gz", ".zst")
            yield {**part, "bytes": file.stat().st_size * (_PACKED_TIMES if packed else 1)}


def _row_groups(file: Path, job_bytes: int) -> Iterator[dict[str, Any]]:
    """Runs of row groups of about `job_bytes` each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        meta = pq.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"not a readable Parquet file ({str(error).partition(chr(10))[0]})", where=str(file)) from None
    first, size = 0, 0
    for number in range(meta.num_row_groups):
        size += meta.row_group(number).total_byte_size
        if size >= job_bytes or number == meta.num_row_groups - 1:
            yield {"groups": [first, number + 1], "bytes": size}
            first, size = number + 1, 0


def _line_spans(file: Path, job_bytes: int) -> Iterator[dict[str, Any]]:
    """Runs of lines of about `job_bytes` each: the bytes where they begin and end, and the lines before them."""
    size, first, line = file.stat().st_size, 0, 0
    with open(file, "rb") as stream:
        while first < size:
            end = min(first + job_bytes, size)
            stream.seek(end - 1)
            end += len(stream.readline()) - 1  # to the end of the line that the span ends in
            yield {"span": [first, end, line], "bytes": end - first}
            stream.seek(first)
            while (left := end - stream.tell()) > 0:
                line += stream.read(min(left, _COUNTED)).count(b"\n")
            first = end


def _add_tables(tables: Sequence[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    total: dict[str, Counter[str]] = {}
    for table in tables:
        for name, row in table.items():
            total.setdefault(name, Counter()).update(row)
    return {name: dict(sorted(row.items())) for name, row in sorted(total.items())}


def _summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def second_name(file: Path, target: Path) -> None:
    """A second name for the file where the file system can, so that a finished shard stays finished; else a copy."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)
