"""The work of corpus.find_items: the index of the items is built once, then the corpora are searched by shard.

It finds with the same index what corpus.decontaminate would take out, and says beside how: `exact` where one document
holds every text of an item, compared without letter case and blanks, which is the same rule in every script.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..artifacts.document_shards import document_jobs, part_rows
from ..artifacts.findings import Finding, Findings, Searched, write_findings
from ..artifacts.tables import read_rows, table_files
from ..artifacts.training_text import training_text
from ..core.errors import InputError
from ..core.params import all_values, parse_params
from ..core.stage import Artifact, Inputs, Runtime
from .find_items import Params
from .item_index import ItemIndex, build_index, folded_units
from .item_texts import ItemText, item_texts

SHOWN_CHARACTERS = 200


def find_items(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write what was found and return counts by task; InputError if there is nothing to look for."""
    values = all_values(params)
    sources = [[str(source.path), _kind(source)] for source in inputs.many("items")]
    [index] = runtime.shards("index", f"{__name__}:index_items", [{"sources": sources, "params": values}], unit="index")
    if not index.facts["items"]:
        names = ", ".join(source.name for source in inputs.many("items"))
        raise InputError("there is no item with a text", where=names, how="See `fields` for tables.")
    corpora = list({source.digest: source for source in inputs.many("documents")}.values())
    cuts = document_jobs(corpora)
    jobs = [{**cut, "index": str(index.folder), "params": values} for cut in cuts]
    weights = [cut["bytes"] for cut in cuts]
    shards = runtime.shards("search", f"{__name__}:search_corpora", jobs, weights=weights, unit="bytes")
    items = _items(index.folder)
    findings = Findings(
        [source.digest for source in corpora],
        _searched(items),
        list(_found(items, [source.digest for source in corpora], [shard.facts["found"] for shard in shards])),
    )
    summary = write_findings(runtime.out, findings)
    return {
        **{name: summary[name] for name in ("items", "items_exact", "items_overlapping")},
        "corpora": len(corpora),
        "rows": sum(shard.facts["rows"] for shard in shards),
        "by_task": _by_task(findings),
    }


def _kind(source: Artifact) -> str:
    """`items` for a table from outside that `evals.run` would take as items: they go by the same names there."""
    if source.kind == "items":
        return source.kind
    first = next((row for file in table_files(source.path) for _, row in read_rows(file)), {})
    return "items" if {"task", "type", "prompt"} <= first.keys() else source.kind


def index_items(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The index of all items, and beside it their names and texts in the same order."""
    params = parse_params(Params, job["params"], where="corpus.find_items")
    count = 0
    with open(out / "items.jsonl", "w", encoding="utf-8") as file:

        def items() -> Iterator[ItemText]:
            nonlocal count
            for path, kind in job["sources"]:
                for item in item_texts(Path(path), kind, params.fields):
                    if any(text.strip() for text in item.texts):
                        count += 1
                        row = [item.task, item.language, item.name, [_bare(text) for text in item.texts]]
                        file.write(json.dumps(row, ensure_ascii=False) + "\n")
                        # What one language's prompts have in common is phrasing there, however few of the test it is.
                        yield ItemText(f"{item.task}/{item.language}", item.name, item.texts)

        build_index(items(), params, out)
    return {"items": count}


@functools.lru_cache(maxsize=1)
def _open(folder: str) -> tuple[ItemIndex, list[list[Any]]]:
    """One process searches many shards with one index."""
    return ItemIndex(Path(folder)), _items(Path(folder))


def _items(folder: Path) -> list[list[Any]]:
    """[task, language, name, bare texts] of every item, in the index's order."""
    with open(folder / "items.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def search_corpora(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """What is found in one job's rows: {corpus number: {item number: [exact, documents, first document, text]}}."""
    index, items = _open(job["index"])
    found: dict[str, dict[str, list[Any]]] = {}
    rows = 0
    for part in job["parts"]:
        here = found.setdefault(str(part["source"]), {})
        for place, row in part_rows(part):
            rows += 1
            text, units = folded_units(training_text(row, place))
            spans = {hit.item: hit for hit in reversed(index.search(units))}
            bare = _bare(text) if spans else ""
            for number, hit in sorted(spans.items()):
                exact = all(each in bare for each in items[number][3])
                shown = text[int(units.starts_U[hit.first]) : int(units.ends_U[hit.end - 1])][:SHOWN_CHARACTERS]
                known = here.setdefault(str(number), [False, 0, str(row["id"]), shown])
                known[0], known[1] = known[0] or exact, known[1] + 1
    return {"found": found, "rows": rows}


def _bare(text: str) -> str:
    """The text without letter case and blanks."""
    return "".join(unicodedata.normalize("NFC", text).casefold().split())


def _searched(items: Sequence[Sequence[Any]]) -> list[Searched]:
    by_task: dict[tuple[str, str], list[str]] = {}
    for task, language, name, _ in items:
        by_task.setdefault((task, language), []).append(name)
    return [Searched(task, language, by_task[task, language]) for task, language in sorted(by_task)]


def _found(
    items: Sequence[Sequence[Any]], corpora: Sequence[str], shards: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    """The shards' rows put together, by corpus, then item."""
    total: dict[tuple[int, int], list[Any]] = {}
    for shard in shards:
        for corpus, rows in shard.items():
            for number, (exact, documents, first, text) in rows.items():
                known = total.setdefault((int(corpus), int(number)), [False, 0, first, text])
                known[0], known[1] = known[0] or exact, known[1] + documents
    for (corpus, number), (exact, documents, first, text) in sorted(total.items()):
        task, language, name, _ = items[number]
        yield Finding(
            corpus=corpora[corpus],
            task=task,
            language=language,
            item=name,
            exact=exact,
            documents=documents,
            document=first,
            text=text,
        )


def _by_task(findings: Findings) -> dict[str, dict[str, int]]:
    """By `task/language`: items looked for, found whole, and found in part only, over all corpora."""
    exact = {(row.task, row.language, row.item) for row in findings.found if row.exact}
    partly = {(row.task, row.language, row.item) for row in findings.found} - exact
    whole_count = Counter(key[:2] for key in exact)
    part_count = Counter(key[:2] for key in partly)
    return {
        f"{row.task}/{row.language}": {
            "items": len(row.ids),
            "exact": whole_count[row.task, row.language],
            "overlapping": part_count[row.task, row.language],
        }
        for row in findings.searched
    }
