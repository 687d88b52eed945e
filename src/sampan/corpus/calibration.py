"""The work of corpus.calibrate: measure every statistic on reference documents, and cut off the same tail of each.

One tail is chosen for all filters' statistics of a language, the widest at which `keep` of its documents pass all
limits together. A statistic that says nothing about the reference (the same value in nearly every document, such as no
spam) teaches no limit: the profile's stays.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.document_shards import document_jobs, read_job
from ..artifacts.documents import Document
from ..core.errors import InputError
from ..core.params import all_values, parse_params
from ..core.shards import Shard
from ..core.stage import Inputs, Runtime
from ..lang.profile import load_profile
from . import clean
from .calibrate import Params
from .cleaning import Cleaner
from .limits import write_limits
from .rules import Rule, rules_of
from .view import TextView

STATISTICS, REPORT = "statistics.jsonl", "quantiles.json"
QUANTILES = (0.0, 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)
_CONFIDENCE = Rule("unsure_language", "min_language_confidence", lambda view: None)
"""Not a filter's: it is asked of documents without a trusted label alone, and so has a tail of its own."""
DIGITS = 4
"""Significant digits of a learnt limit."""


def calibrate(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write `limits.yaml` and `quantiles.json`; InputError if no language has enough documents."""
    sources = inputs.many("documents")
    identifier = inputs.optional("identifier")
    files = {"identifier": str(identifier.path)} if identifier else {}
    jobs = [{**job, "params": all_values(params), "files": files} for job in document_jobs(sources)]
    shards = runtime.shards(
        "measure", "sampan.corpus.calibration:measure_part", jobs, weights=[job["bytes"] for job in jobs], unit="bytes"
    )
    rules = _limit_rules(params)
    limits, report, counts = {}, {}, {}
    for language, values_DR in _sampled(shards, params.max_documents):
        counts[language] = len(values_DR)
        if len(values_DR) >= params.min_documents:
            limits[language], report[language] = _learn(values_DR, rules, language, params.keep)
    if not limits:
        raise InputError(
            f"no language has {params.min_documents} reference documents (there are: {counts})",
            where=", ".join(source.name for source in sources),
            how="Give more reference text or lower `min_documents`.",
        )
    note = f"Learnt by corpus.calibrate: {params.keep:.1%} of the reference documents of each language pass."
    write_limits(runtime.out, limits, note)
    (runtime.out / REPORT).write_text(json.dumps(report, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")
    return {
        "languages": len(limits),
        "documents": sum(counts.values()),
        "kept": {language: facts["kept"] for language, facts in sorted(report.items())},
        "left_out": {language: number for language, number in sorted(counts.items()) if language not in limits},
    }


def measure_part(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """One shard: the statistics of its documents, sampled by language."""
    params = parse_params(Params, job["params"], where="corpus.calibrate")
    rules = _limit_rules(params)
    cleaner = Cleaner(clean.Params(languages=params.languages, trust_label=params.trust_label), job["files"])
    rows: dict[str, list[tuple[int, list[float | None]]]] = defaultdict(list)
    for document in read_job(job):
        document, reason = cleaner.prepare(document)
        if reason:
            continue
        view = cleaner.view(document)
        heap, rank = rows[document.language], -_hash(document.text)
        if len(heap) < params.max_documents or rank > heap[0][0]:
            item = (rank, [_value(rule, view, document, cleaner) for rule in rules])
            (heapq.heappush if len(heap) < params.max_documents else heapq.heapreplace)(heap, item)
    with open(out / STATISTICS, "w", encoding="utf-8") as file:
        for language in sorted(rows):
            for rank, values in sorted(rows[language], key=lambda row: -row[0]):
                file.write(json.dumps([language, -rank, values]) + "\n")
    return {"documents": sum(map(len, rows.values()))}


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=7).digest(), "big")


def _limit_rules(params: Params) -> list[Rule]:
    """One rule for each limit, in order."""
    rules = [*rules_of(params.filters), *([_CONFIDENCE] if params.confidence else [])]
    return list({rule.limit: rule for rule in rules}.values())


def _value(rule: Rule, view: TextView, document: Document, cleaner: Cleaner) -> float | None:
    if rule is not _CONFIDENCE:
        return rule.statistic(view)
    guess = cleaner.guess(document.text)
    return guess.confidence if guess.language == document.language else None


def _sampled(shards: Sequence[Shard], most: int) -> Iterator[tuple[str, np.ndarray]]:
    """By language the statistics [D, R] of the documents with the smallest hashes, NaN where a rule does not apply."""
    rows: dict[str, list[tuple[int, list[float | None]]]] = defaultdict(list)
    for shard in shards:
        with open(shard.folder / STATISTICS, encoding="utf-8") as lines:
            for line in lines:
                language, rank, values = json.loads(line)
                rows[language].append((rank, values))
        for language in rows:
            rows[language] = heapq.nsmallest(most, rows[language], key=lambda row: row[0])
    for language in sorted(rows):
        yield language, np.array([values for _, values in rows[language]], float)


def _learn(
    values_DR: np.ndarray, rules: Sequence[Rule], language: str, keep: float
) -> tuple[dict[str, float], dict[str, Any]]:
    """(limits by name, what the report says of the language)."""
    least, most = 0.0, 0.25
    for _ in range(24):
        tail = (least + most) / 2
        least, most = (tail, most) if _kept(values_DR, rules, tail) >= keep else (least, tail)
    learnt = {
        rule.limit: _limit(values, rule, 1 - keep if rule is _CONFIDENCE else least)
        for rule, values in zip(rules, values_DR.T, strict=True)
    }
    limits = {name: value for name, value in learnt.items() if value is not None}
    facts = {"documents": len(values_DR), "kept": round(_kept(values_DR, rules, least), 6), "tail": round(least, 6)}
    return limits, facts | {"statistics": _statistics(values_DR, rules, limits, language)}


def _kept(values_DR: np.ndarray, rules: Sequence[Rule], tail: float) -> float:
    """Share of documents that pass all limits learnt with this tail."""
    passes = np.ones(len(values_DR), bool)
    for rule, values in zip(rules, values_DR.T, strict=True):
        limit = _limit(values, rule, tail) if rule is not _CONFIDENCE else None
        if limit is not None:
            passes &= ~(values < limit if rule.least else values > limit)
    return float(passes.mean())


def _limit(values_D: np.ndarray, rule: Rule, tail: float) -> float | None:
    """The value with `tail` of the documents beyond it, rounded outwards; None where it teaches nothing."""
    known = values_D[~np.isnan(values_D)]
    if not len(known):
        return None
    if rule.least:
        limit = float(np.quantile(known, tail, method="lower"))
        return _rounded(limit, np.floor) if limit < known.max() else None
    limit = float(np.quantile(known, 1 - tail, method="higher"))
    return _rounded(limit, np.ceil) if limit > known.min() else None


def _rounded(value: float, towards: Any) -> float:
    if value == 0:
        return 0.0
    scale = 10.0 ** (DIGITS - 1 - int(np.floor(np.log10(abs(value)))))
    return float(f"{towards(value * scale) / scale:.{DIGITS}g}")


def _statistics(
    values_DR: np.ndarray, rules: Sequence[Rule], limits: Mapping[str, float], language: str
) -> dict[str, Any]:
    """By limit: documents it applies to, quantiles, the learnt limit and the profile's."""
    table = {}
    for rule, values in zip(rules, values_DR.T, strict=True):
        known = values[~np.isnan(values)]
        if len(known):
            points = {
                f"{q:g}": float(f"{x:.4g}") for q, x in zip(QUANTILES, np.quantile(known, QUANTILES), strict=True)
            }
            profile = getattr(load_profile(language).thresholds, rule.limit)
            table[rule.limit] = {
                "documents": len(known),
                "quantiles": points,
                "learnt": limits.get(rule.limit),
                "profile": profile,
            }
    return table
