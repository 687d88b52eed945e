"""The work of corpus.dedup_passages on lines and paragraphs, and what spans share with it.

    index     per shard     each long passage once, by its digest, and the best of the shard's documents that have it
    repeated  per key range passages in more documents than allowed, and the one document that keeps each
    write     per shard     texts without the passages that are another's

For `span`, spans.py has the first phases, which end in the units to take out of each document; `write` is the same.
Memory holds one shard or one key range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.document_shards import gather_documents, read_job
from ..artifacts.documents import DocumentWriter
from ..core.errors import RecipeError
from ..core.params import parse_params
from ..core.stage import Artifact, Runtime
from ..lang.units import units
from .dedup_passages import Params
from .keep import best_of_groups, ranking
from .phases import batches, documents_in, phase, root, shard_jobs
from .shingles import digest, folded
from .spans import removed_spans
from .spill import addresses, bucket_ranges, read_range, save_sorted
from .verdicts import MEMBER

REPEATED = np.dtype([("at", "u8"), ("key", "u8"), ("low", "u8"), ("best", "u8")])
"""A passage to take out of all documents of the shard that `at` begins, but for the document `best`."""
Range = tuple[int, int]


def remove_passages(
    params: Any, sources: Sequence[Artifact], runtime: Runtime, *, against: Sequence[Artifact] = ()
) -> dict[str, Any]:
    """Write the documents without repeated passages and return metrics; InputError if there is no document."""
    least = 8 if params.scope == "span" else 1
    if params.min_units < least or params.max_documents < 1:
        raise RecipeError(f"max_documents is at least 1 and min_units at least {least} for {params.scope}s")
    module = "spans" if params.scope == "span" else "passages"
    jobs = shard_jobs(params, sources, against)
    index = phase(runtime, "index", f"{module}:index", jobs, read=True)
    seen = documents_in(index, jobs, sources)
    found = {"index": root(index), "params": jobs[0]["params"]}
    ranges = bucket_ranges(sum(shard.facts["records"] for shard in index))
    repeated = phase(runtime, "repeated", f"{module}:repeated", [{**found, "range": bounds} for bounds in ranges])
    found["repeated"] = root(repeated)
    if params.scope == "span":
        verify = phase(runtime, "verify", "spans:verify", [{**found, "shard": job["shard"]} for job in jobs])
        found["spans"] = root(verify)
    write = [{**job, **found} for job in jobs if not job["earlier"]]
    shards = phase(runtime, "write", "passages:write", write, read=True)
    summary = gather_documents(shards, runtime.out)
    return {
        "documents_in": seen,
        "documents": summary["documents"],
        "text_bytes": summary["text_bytes"],
        "documents_changed": sum(shard.facts["changed"] for shard in shards),
        "passages_removed": sum(shard.facts["passages"] for shard in shards),
        "characters_removed": sum(shard.facts["characters"] for shard in shards),
        "dropped": {reason: sum(counts.values()) for reason, counts in summary["dropped"].items()},
    }


def index(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Every passage of min_units or more, once a shard: its digest, its best document, and in how many it is."""
    params = parse_params(Params, job["params"], where="corpus.dedup_passages")
    rank, at = ranking(params, earlier=job["earlier"]), addresses(job["shard"])[0]
    parts = [np.empty(0, MEMBER)]
    for documents, sources in batches(job):
        members = []
        texts = [document.text for document in documents]
        cuts = _long_passages(texts, params)
        for document, source, text, ranges in zip(documents, sources, folded(texts), cuts, strict=True):
            order, tie = rank(document, source)
            names = {digest(text[first:end]) for first, end in ranges}
            members += [(*_name(name), order, tie, at, 1) for name in names]
            at += 1
        parts.append(np.array(members, MEMBER))
    records = np.concatenate(parts)
    sorted_N, _, starts_G = best_of_groups(records, ("key", "low"))
    best = records[sorted_N[starts_G]]
    best["size"] = np.diff(np.append(starts_G, len(records)))
    save_sorted(out / "passages.npy", best, by="key")
    return {"documents": at - addresses(job["shard"])[0], "records": len(best)}


def repeated(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The passages with digests in the job's range that are in too many documents, for each shard that has them."""
    members = read_range(job["index"], "passages.npy", *job["range"])
    sorted_N, first_N, starts_G = best_of_groups(members, ("key", "low"))
    told = np.zeros(len(members), REPEATED)
    told["at"] = members["at"][sorted_N] >> np.uint64(32) << np.uint64(32)
    told["key"], told["low"] = members["key"][sorted_N], members["low"][sorted_N]
    told["best"] = members["at"][first_N]
    if len(members):
        documents_G = np.add.reduceat(members["size"][sorted_N].astype(np.int64), starts_G)
        sizes_G = np.diff(np.append(starts_G, len(members)))
        told = told[np.repeat(documents_G > job["params"]["max_documents"], sizes_G)]
    save_sorted(out / "repeated.npy", told, by="at")
    return {"passages": len(told)}


def write(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The shard's documents without the passages that others keep; those of which little is left are dropped."""
    params = parse_params(Params, job["params"], where="corpus.dedup_passages")
    removed = removed_spans(job) if params.scope == "span" else _removed_passages(job, params.scope)
    changed, passages, characters = 0, 0, 0
    with DocumentWriter(out) as writer:
        for row, document in enumerate(read_job(job)):
            text = document.text
            if ranges := removed(row, text):
                document.text = _without(text, ranges)
                changed += 1
                passages += len(ranges)
                characters += len(text) - len(document.text)
            if ranges and len(units(document.text, False)) < params.min_left:
                writer.drop("little_left", document.language, text, source=document.source)
            else:
                writer.write(document)
    return {"changed": changed, "passages": passages, "characters": characters}


def _removed_passages(job: Mapping[str, Any], scope: str) -> Callable[[int, str], list[Range]]:
    """A function (row, text) -> the ranges of characters to take out."""
    low, high = addresses(job["shard"])
    records = read_range(job["repeated"], "repeated.npy", low, high)
    keepers = {(key, more): best for _, key, more, best in records.tolist()}

    def removed(row: int, text: str) -> list[Range]:
        ranges, same = [], folded([text])[0] if keepers else ""
        for first, end in passages_of(text, scope) if keepers else ():
            best = keepers.get(_name(digest(same[first:end])))
            if best is not None and best != low + row:
                ranges.append((first, end))
        return ranges

    return removed


def passages_of(text: str, scope: str) -> Iterator[Range]:
    """(first, end) characters of the lines that are not blank, or of the paragraphs: such lines without a blank one
    between them."""
    start, begun, end = 0, -1, 0
    for line in text.split("\n"):
        if line.strip():
            if scope == "line":
                yield start, start + len(line)
            else:
                begun, end = (start if begun < 0 else begun), start + len(line)
        elif begun >= 0:
            yield begun, end
            begun = -1
        start += len(line) + 1
    if begun >= 0:
        yield begun, end


def _long_passages(texts: Sequence[str], params: Any) -> Iterable[list[Range]]:
    """For each text its passages of min_units or more."""
    starts_U = units("\n".join(texts), False).starts_U
    base = 0
    for text in texts:
        ranges = [(first, end) for first, end in passages_of(text, params.scope) if end - first >= params.min_units]
        places = np.array(ranges, np.int64).reshape(-1, 2) + base
        counts = np.diff(np.searchsorted(starts_U, places), axis=1)[:, 0]
        yield [pair for pair, count in zip(ranges, counts.tolist(), strict=True) if count >= params.min_units]
        base += len(text) + 1


def _name(name: bytes) -> tuple[int, int]:
    return int.from_bytes(name[:8], "little"), int.from_bytes(name[8:], "little")


def _without(text: str, ranges: Sequence[Range]) -> str:
    """`text` without the ranges; a line or paragraph that went leaves no blank line of its own."""
    kept, last = [], 0
    for first, end in ranges:
        kept.append(text[last:first])
        whole = (not first or text[first - 1] == "\n") and text[end : end + 1] in ("", "\n")
        while whole and text[end : end + 1] == "\n":
            end += 1
        last = end
    return "".join([*kept, text[last:]]).rstrip()
