"""The work of corpus.mix: count, plan, choose, and write the chosen documents as often as they are wanted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...artifacts.document_shards import document_jobs, gather_documents
from ...artifacts.documents import DocumentWriter
from ...core.errors import InputError
from ...core.params import all_values
from ...core.shards import Shard
from ...core.stage import Inputs, Runtime
from ...lang.codes import normalise_code
from .choose import Choice, choose
from .count import ROWS, job_documents
from .plan import Budget, plan_mixture

_MODULE = "sampan.corpus.mixing"


def mix(params: Any, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write the mixture with `mixture.json` beside it and return metrics; RecipeError or InputError says what is wrong
    before anything is written."""
    tokenizer = inputs.optional("tokenizer")
    jobs = document_jobs(inputs.many("documents"))
    weights = [job["bytes"] for job in jobs]
    sources = [all_values(source) for source in params.sources]
    for source in sources:
        source["languages"] = [normalise_code(code, where=f"sources.{source['name']}") for code in source["languages"]]
    setting = {"sources": sources, "salt": params.salt, "tokenizer": str(tokenizer.path) if tokenizer else ""}
    counts = runtime.shards(
        "count", f"{_MODULE}.count:count_job", [{**job, **setting} for job in jobs], weights=weights, unit="bytes"
    )
    cells: Counter[tuple[str, str]] = Counter()
    for shard in counts:
        cells.update({(name, quality): size for name, quality, _, size in shard.facts["cells"]})
    budgets, owner = plan_mixture(params, cells)
    units = {(name, quality): n for n, (name, quality) in enumerate(_unit_names(budgets))}
    tables = [[units.get((owner.get(name), quality), -1) for name, quality, *_ in s.facts["cells"]] for s in counts]
    choices = _choices(counts, tables, budgets, units)
    plain = {unit: [choice.copies, choice.below] for unit, choice in choices.items()}
    written = runtime.shards(
        "write",
        f"{_MODULE}.realise:write_job",
        [
            {**job, "rows": str(shard.folder / ROWS), "choices": [plain.get(unit) for unit in table]}
            for job, shard, table in zip(jobs, counts, tables, strict=True)
        ],
        weights=weights,
        unit="bytes",
    )
    summary = gather_documents(written, runtime.out)
    if not summary["documents"]:
        raise InputError("no document fits into the budget", how="Raise the budget.")
    unit = "tokens" if tokenizer else "bytes"
    table = _table(budgets, units, choices, unit)
    text = json.dumps(table, ensure_ascii=False, indent=1, sort_keys=True)
    (runtime.out / "mixture.json").write_text(text + "\n", encoding="utf-8")
    return _metrics(summary, table, unit)


def write_job(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write one job's documents, each as often as its cell's choice and its place say. Copies keep their id."""
    rows = np.load(job["rows"], mmap_mode="r")
    with DocumentWriter(out) as writer:
        for (_, document), (cell, place, _) in zip(job_documents(job), rows, strict=True):
            choice = job["choices"][int(cell)]
            copies = choice[0] + (int(place) < choice[1]) if choice else 0
            for _ in range(copies):
                writer.write(document)
            if not copies:
                reason = "over_the_budget" if choice else "not_in_the_mixture"
                writer.drop(reason, document.language, document.text, source=document.source)
    return {}


def _unit_names(budgets: Mapping[str, Budget]) -> list[tuple[str, str]]:
    return [(name, quality) for name, budget in sorted(budgets.items()) for quality in budget.buckets]


def _choices(
    counts: Sequence[Shard],
    tables: Sequence[Sequence[int]],
    budgets: Mapping[str, Budget],
    units: Mapping[tuple[str, str], int],
) -> dict[int, Choice]:
    buckets = {unit: budgets[name].buckets[quality] for (name, quality), unit in units.items()}
    return choose(
        [shard.folder for shard in counts],
        tables,
        {unit: bucket.available for unit, bucket in buckets.items()},
        {unit: bucket.budget for unit, bucket in buckets.items()},
    )


def _table(
    budgets: Mapping[str, Budget], units: Mapping[tuple[str, str], int], choices: Mapping[int, Choice], unit: str
) -> dict[str, Any]:
    """What was asked, what there is, what was made of it: in all and for every source and bucket."""
    rows = {}
    for name, budget in sorted(budgets.items()):
        buckets = {}
        for quality, bucket in budget.buckets.items():
            choice = choices.get(units[name, quality])
            buckets[quality] = _row(bucket.budget, bucket.available, choice.size if choice else 0)
        available, made = (sum(row[key] for row in buckets.values()) for key in ("available", "realised"))
        rows[name] = {
            "groups": list(budget.part.groups),
            "share": float(budget.part.share),
            "asked": round(float(budget.part.asked), 3),
            **_row(budget.part.budget, available, made),
            **({"quality": buckets} if set(buckets) != {""} else {}),
        }
    total = {key: sum(row[key] for row in rows.values()) for key in ("budget", "available", "realised")}
    return {"format": "mixture-table/1", "unit": unit, **total, "sources": rows}


def _row(budget: int, available: int, realised: int) -> dict[str, Any]:
    epochs = round(realised / available, 6) if available else 0.0
    return {"budget": budget, "available": available, "realised": realised, "epochs": epochs}


def _metrics(summary: Mapping[str, Any], table: Mapping[str, Any], unit: str) -> dict[str, Any]:
    lines = [
        f"{name}: {row['realised']:,} of {row['budget']:,} ({row['realised'] / table['realised']:.2%} of all, "
        f"{row['epochs']:.2f} epochs of {row['available']:,}; asked for {row['asked']:,.0f})"
        for name, row in table["sources"].items()
    ]
    made = {"tokens": table["realised"]} if unit == "tokens" else {}
    return {
        **{name: summary[name] for name in ("documents", "text_bytes")},
        **made,
        "budget": table["budget"],
        "mixture": table["sources"],
        "text": f"{table['realised']:,} {unit} of a budget of {table['budget']:,}: " + "; ".join(lines),
    }
