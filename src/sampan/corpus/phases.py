"""How the stages that compare documents across shards run: numbered shards of documents, and phases of jobs on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..artifacts.document_shards import document_jobs, read_part
from ..artifacts.documents import Document
from ..core.errors import InputError
from ..core.params import all_values
from ..core.shards import Shard
from ..core.stage import Artifact, Runtime

BATCH_CHARACTERS = 200_000
"""Text whose units are counted in one call: arrays that stay near the processor."""


def shard_jobs(params: Any, new: Sequence[Artifact], earlier: Sequence[Artifact]) -> list[dict[str, Any]]:
    """Jobs for all documents, those of earlier corpora last: `document_jobs` with `shard`, `earlier` and `params`."""
    jobs = [(job, False) for job in document_jobs(new)] + [(job, True) for job in document_jobs(earlier)]
    values = all_values(params)
    return [{**job, "earlier": old, "shard": shard, "params": values} for shard, (job, old) in enumerate(jobs)]


def phase(
    runtime: Runtime, name: str, function: str, jobs: Sequence[Mapping[str, Any]], *, read: bool = False
) -> list[Shard]:
    """Run `function` (`module:name` of this room) on the jobs; `read` if they read documents."""
    options = {"weights": [job["bytes"] for job in jobs], "unit": "bytes"} if read else {}
    return runtime.shards(name, f"{__package__}.{function}", jobs, **options)


def root(shards: Sequence[Shard]) -> str:
    """The folder in which all shards of a phase are."""
    return str(shards[0].folder.parent)


def documents_in(shards: Sequence[Shard], jobs: Sequence[Mapping[str, Any]], sources: Sequence[Artifact]) -> int:
    """How many documents the stage has to judge; InputError if none."""
    seen = sum(shard.facts["documents"] for shard, job in zip(shards, jobs, strict=True) if not job["earlier"])
    if not seen:
        raise InputError("there is no document to deduplicate", where=", ".join(s.name for s in sources))
    return seen


def batches(job: Mapping[str, Any]) -> Iterator[tuple[list[Document], list[int]]]:
    """The job's documents in batches, with the number of the input that each is of."""
    documents, sources, size = [], [], 0
    for part in job["parts"]:
        for document in read_part(part):
            documents.append(document)
            sources.append(part["source"])
            size += len(document.text) + 1
            if size >= BATCH_CHARACTERS:
                yield documents, sources
                documents, sources, size = [], [], 0
    if documents:
        yield documents, sources
