"""The work of corpus.quality: a first pass scores by shard, a histogram of all gives the limits, a second pass writes.

Scores fall into bins of fixed width, so that histograms of shards add up exactly and limits lie between bins: neither
the order of documents nor how they are cut into shards can move one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.document_shards import document_jobs, gather_documents, read_job
from ..artifacts.documents import DocumentWriter
from ..core.errors import InputError, RecipeError
from ..core.params import all_values, parse_params
from ..core.stage import Artifact, Inputs, Runtime
from ..lang.codes import known_language
from .quality import Params
from .scorers import load_scorer

BINS_PER_POINT = 64
_LIMIT = 64 * BINS_PER_POINT
"""Scores beyond ±64 share the outermost bins."""

Histogram = dict[str, Counter[int]]
"""Documents by `SCORER/LANGUAGE` and bin."""


def bucket(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write every document with its bucket; RecipeError for buckets that cannot be, InputError without documents."""
    _check(params, inputs)
    folders = [str(source.path) for source in inputs.many("scorers")]
    for folder in folders:
        load_scorer(Path(folder))
    scored = _score(params, inputs.many("documents"), folders, "scores", runtime)
    reference = _score(params, inputs.many("reference"), folders, "reference", runtime)
    totals: Histogram = defaultdict(Counter)
    for shard in reference or scored:
        for name, bins in shard.facts["histograms"].items():
            totals[name].update({int(number): count for number, count in bins.items()})
    limits = {name: bucket_limits(bins, params.shares) for name, bins in sorted(totals.items())}
    cuts = document_jobs(inputs.many("documents"))
    jobs = [
        {**cut, "scores": str(shard.folder / "scores.npy"), "limits": limits, "params": all_values(params)}
        for cut, shard in zip(cuts, scored, strict=True)
    ]
    weights = [cut["bytes"] for cut in cuts]
    written = runtime.shards("buckets", f"{__name__}:write_buckets", jobs, weights=weights, unit="bytes")
    summary = gather_documents(written, runtime.out)
    if not summary["documents"]:
        names = ", ".join(source.name for source in inputs.many("documents"))
        raise InputError("there is no document to sort", where=names)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for shard in written:
        for language, row in shard.facts["buckets"].items():
            counts[language].update(row)
    return {
        "documents": summary["documents"],
        "text_bytes": summary["text_bytes"],
        "by_quality": dict(sorted(sum(counts.values(), Counter()).items())),
        "by_language": {language: dict(sorted(row.items())) for language, row in sorted(counts.items())},
        "limits": {name: [number / BINS_PER_POINT for number in row] for name, row in limits.items()},
    }


def _check(params: Params, inputs: Inputs) -> None:
    if not inputs.many("scorers") and not params.curated:
        raise RecipeError("corpus.quality needs a scorer, curated sources or both", how="Add `scorers:` under `from:`.")
    if len(params.buckets) != len(params.shares) or len(params.buckets) < 2 or min(params.shares) < 0:
        raise RecipeError("`buckets` and `shares` are as many, at least two, and no share is negative")
    if abs(sum(params.shares) - 1) > 1e-6:
        raise RecipeError(f"the shares add up to {sum(params.shares):g}, not to 1")
    for name in (*params.buckets, params.unscored):
        if "/" in name or "*" in name or (name in params.buckets and not name):
            raise RecipeError(f"'{name}' cannot name a bucket", how="Stream names are made of it: no '/', no '*'.")


def _score(params: Params, sources: Sequence[Artifact], folders: list[str], phase: str, runtime: Runtime) -> list:
    cuts = document_jobs(sources)
    jobs = [{**cut, "scorers": folders, "curated": params.curated} for cut in cuts]
    weights = [cut["bytes"] for cut in cuts]
    return runtime.shards(phase, f"{__name__}:score_documents", jobs, weights=weights, unit="bytes") if jobs else []


def score_documents(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """scores.npy [D, S] of the job's documents by each scorer, nan where there is none; facts are the histograms.

    Curated documents are not counted: the limits are to part the others.
    """
    scorers = [load_scorer(Path(folder)) for folder in job["scorers"]]
    rows, histograms = [], defaultdict(Counter)
    for document in read_job(job):
        code = known_language(document.language)
        found = [scorer.score(document.text, code) if code else None for scorer in scorers]
        rows.append([np.nan if score is None else score for score in found])
        if not is_curated(document.source, job["curated"]):
            for number, score in enumerate(found):
                if score is not None:
                    histograms[f"{number}/{code}"][int(_bins(score))] += 1
    np.save(out / "scores.npy", np.array(rows, np.float64).reshape(len(rows), len(scorers)))
    return {"histograms": {name: dict(sorted(bins.items())) for name, bins in sorted(histograms.items())}}


def write_buckets(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The job's documents with their buckets; facts count them by language."""
    params = parse_params(Params, job["params"], where="corpus.quality")
    scores_DS = np.load(job["scores"])
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    with DocumentWriter(out) as writer:
        for scores, document in zip(scores_DS, read_job(job), strict=True):
            code = known_language(document.language)
            if is_curated(document.source, params.curated):
                quality = params.buckets[0]
            else:
                quality = _bucket(params, scores, code, job["limits"]) or params.unscored or document.quality
            meta = document.meta
            if params.keep_scores:
                meta = {**meta, "quality_scores": [None if np.isnan(s) else round(float(s), 4) for s in scores]}
            writer.write(replace(document, quality=quality, meta=meta))
            counts[document.language][quality] += 1
    return {"buckets": {language: dict(sorted(row.items())) for language, row in sorted(counts.items())}}


def _bucket(params: Params, scores: np.ndarray, code: str, limits: Mapping[str, Sequence[int]]) -> str:
    """The worst of the buckets that the scorers give, '' if none can."""
    places = [
        sum(int(_bins(score)) < limit for limit in limits[f"{number}/{code}"])
        for number, score in enumerate(scores)
        if not np.isnan(score) and f"{number}/{code}" in limits
    ]
    return params.buckets[max(places)] if places else ""


def bucket_limits(bins: Mapping[int, int], shares: Sequence[float]) -> list[int]:
    """The lowest bin of every bucket but the last: the bins at which the documents above come nearest to the shares."""
    numbers = np.array(sorted(bins, reverse=True))
    above = np.cumsum([bins[number] for number in numbers])
    counts, lowest = np.concatenate(([0], above)), np.concatenate(([numbers[0] + 1], numbers))
    wanted = np.cumsum(shares)[:-1] * above[-1]
    return [int(lowest[np.argmin(np.abs(counts - want))]) for want in wanted]


def is_curated(source: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(source, pattern) for pattern in patterns)


def _bins(score: float) -> float:
    return np.clip(np.floor(score * BINS_PER_POINT), -_LIMIT, _LIMIT)
