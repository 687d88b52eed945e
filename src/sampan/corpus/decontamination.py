"""The work of corpus.decontaminate: the index of the items is built once, then documents are searched by shard."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..artifacts.document_shards import document_jobs, gather_documents, read_job
from ..artifacts.documents import Document, DocumentWriter
from ..core.errors import InputError
from ..core.params import all_values, parse_params
from ..core.stage import Inputs, Runtime
from ..lang.units import Units
from .decontaminate import Params
from .item_index import Hit, ItemIndex, build_index, folded_units
from .item_texts import item_texts

EXAMPLES = 10
EXAMPLE_CHARACTERS = 200
_ITEMS_NAMED = 20
"""Items that a flagged document names."""


def decontaminate(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write what is clean and return metrics; InputError if nothing is left or there is no item."""
    values = all_values(params)
    sources = [[str(source.path), source.kind] for source in inputs.many("items")]
    [index] = runtime.shards("index", f"{__name__}:index_items", [{"sources": sources, "params": values}], unit="index")
    if not index.facts["items"]:
        raise InputError(
            "there is no item with a text",
            where=", ".join(source.name for source in inputs.many("items")),
            how="Nothing could be found; see `fields` for tables whose texts lie deeper.",
        )
    cuts = document_jobs(inputs.many("documents"))
    jobs = [{**cut, "index": str(index.folder), "params": values} for cut in cuts]
    weights = [cut["bytes"] for cut in cuts]
    shards = runtime.shards("search", f"{__name__}:search_documents", jobs, weights=weights, unit="bytes")
    summary = gather_documents(shards, runtime.out)
    if not summary["documents"]:
        names = ", ".join(source.name for source in inputs.many("documents"))
        seen = summary["dropped_documents"]
        what = f"none of {seen} documents is without an item in it" if seen else "there is no document to search"
        raise InputError(what, where=names)
    return {
        "documents_in": summary["documents"] + summary["dropped_documents"],
        "documents": summary["documents"],
        "text_bytes": summary["text_bytes"],
        "contaminated_documents": sum(shard.facts["contaminated"] for shard in shards),
        "lines_cut": sum(shard.facts["lines_cut"] for shard in shards),
        "by_task": _by_task(index.facts["items"], [shard.facts for shard in shards]),
        "examples": [example for shard in shards for example in shard.facts["examples"]][:EXAMPLES],
    }


def _by_task(items: Mapping[str, int], facts: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Of each test the number of its items, of those found anywhere, and of the documents that hold any."""
    found: dict[str, set[int]] = defaultdict(set)
    documents: Counter[str] = Counter()
    for fact in facts:
        for task, row in fact["by_task"].items():
            found[task] |= set(row["items"])
            documents[task] += row["documents"]
    return {
        task: {"items": number, "items_found": len(found[task]), "documents": documents[task]}
        for task, number in sorted(items.items())
    }


def index_items(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The index of all items; facts count them by test."""
    params = parse_params(Params, job["params"], where="corpus.decontaminate")
    counts: Counter[str] = Counter()

    def items():
        for path, kind in job["sources"]:
            for item in item_texts(Path(path), kind, params.fields):
                if any(text.strip() for text in item.texts):
                    counts[item.task] += 1
                    yield item

    build_index(items(), params, out)
    return {"items": dict(sorted(counts.items()))}


@functools.lru_cache(maxsize=1)
def _open_index(folder: str) -> ItemIndex:
    """One process searches many shards with one index."""
    return ItemIndex(Path(folder))


def search_documents(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The job's documents after `action`; facts say what was found."""
    params = parse_params(Params, job["params"], where="corpus.decontaminate")
    index = _open_index(job["index"])
    items: dict[str, set[int]] = defaultdict(set)
    documents: Counter[str] = Counter()
    examples: list[dict[str, str]] = []
    contaminated = lines_cut = 0
    with DocumentWriter(out) as writer:
        for document in read_job(job):
            text, found = folded_units(document.text)
            hits = index.search(found)
            if not hits:
                writer.write(document)
                continue
            contaminated += 1
            for task in {index.items[hit.item][0] for hit in hits}:
                documents[task] += 1
            for hit in hits:
                items[index.items[hit.item][0]].add(hit.item)
            if len(examples) < EXAMPLES:
                examples.append(_example(index, document, text, found, hits[0]))
            lines_cut += _act(params, index, document, text, found, hits, writer)
    by_task = {task: {"items": sorted(items[task]), "documents": documents[task]} for task in sorted(items)}
    return {"contaminated": contaminated, "lines_cut": lines_cut, "by_task": by_task, "examples": examples}


def _act(
    params: Params,
    index: ItemIndex,
    document: Document,
    text: str,
    found: Units,
    hits: list[Hit],
    writer: DocumentWriter,
) -> int:
    """Write or drop a contaminated document; returns the number of lines cut out of it."""
    if params.action == "flag":
        names = sorted({"/".join(index.items[hit.item]) for hit in hits})[:_ITEMS_NAMED]
        writer.write(replace(document, meta={**document.meta, "contamination": names}))
        return 0
    if params.action == "cut":
        kept, cut = _without(text, found, hits)
        if kept:
            writer.write(replace(document, text=kept))
            return cut
    example = text[int(found.starts_U[hits[0].first]) :]
    writer.drop("contaminated", document.language, example, source=document.source)
    return 0


def _without(text: str, found: Units, hits: list[Hit]) -> tuple[str, int]:
    """The lines of a text that no hit touches, and the number of the others."""
    spans = [(int(found.starts_U[hit.first]), int(found.ends_U[hit.end - 1])) for hit in hits]
    kept, cut, start = [], 0, 0
    for line in text.split("\n"):
        end = start + len(line)
        if any(low < end and high > start for low, high in spans):
            cut += 1
        else:
            kept.append(line)
        start = end + 1
    return "\n".join(kept).strip(), cut


def _example(index: ItemIndex, document: Document, text: str, found: Units, hit: Hit) -> dict[str, str]:
    task, name = index.items[hit.item]
    shown = text[int(found.starts_U[hit.first]) : int(found.ends_U[hit.end - 1])]
    return {"task": task, "item": name, "document": document.id, "text": shown[:EXAMPLE_CHARACTERS]}
