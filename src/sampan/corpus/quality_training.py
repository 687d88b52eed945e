"""The work of corpus.train_quality: features of every document by shard, then one fit."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.document_shards import document_jobs, read_part
from ..core.errors import InputError, RecipeError
from ..core.params import all_values, parse_params
from ..core.stage import Artifact, Runtime
from ..lang.codes import known_language
from .linear_text import METHOD, WEIGHTS, fit, logits, text_features
from .sampling import id_hash, is_held_out
from .scorers import write_scorer
from .train_quality import Params

_LABELS, _HASHES, _SIZES, _LANGUAGES = range(4)
"""Columns of documents.npy."""


def train(params: Params, good: Sequence[Artifact], ordinary: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write the scorer and return metrics; InputError unless some language has good and ordinary documents."""
    if params.ngram < 1 or not 8 <= params.hash_bits <= 26 or not 0 <= params.held_out_share < 1:
        raise RecipeError("ngram is at least 1, hash_bits is in 8..26 and held_out_share in 0..1")
    values = all_values(params)
    cuts = document_jobs([*good, *ordinary])
    jobs = [{**cut, "good_sources": len(good), "params": values} for cut in cuts]
    weights = [cut["bytes"] for cut in cuts]
    read = runtime.shards("features", f"{__name__}:read_features", jobs, weights=weights, unit="bytes")
    languages = sorted({code for shard in read for code in shard.facts["languages"]})
    job = {"folders": [[str(s.folder), s.facts["languages"]] for s in read], "languages": languages, "params": values}
    [made] = runtime.shards("fit", f"{__name__}:fit_documents", [job], unit="models")
    if not made.facts["by_language"]:
        raise InputError(
            "no language has both good and ordinary documents",
            where=", ".join(artifact.name for artifact in [*good, *ordinary]),
            how="A classifier learns the difference; give documents of the same languages in both roles.",
        )
    shutil.copyfile(made.folder / WEIGHTS, runtime.out / WEIGHTS)
    write_scorer(runtime.out, METHOD, languages=sorted(made.facts["by_language"]), features=_feature_params(params))
    licenses = sorted({name for shard in read for name in shard.facts["licenses"]})
    return {**made.facts, "licenses": licenses}


def _feature_params(params: Params) -> dict[str, Any]:
    return {
        "ngram": params.ngram,
        "bits": params.hash_bits,
        "per_language": params.per_language,
        "max_units": params.max_units,
    }


def read_features(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """features.npy end to end, documents.npy [D, 4] (label, hash of the id, number of features, language's number)."""
    params = parse_params(Params, job["params"], where="corpus.train_quality")
    features, rows, languages, licenses = [], [], {}, set()
    for part in job["parts"]:
        label = int(part["source"] < job["good_sources"])
        for document in read_part(part):
            if not (code := known_language(document.language)):
                continue
            found = text_features(document.text, code, **_feature_params(params))
            if len(found) > 1:
                features.append(found)
                rows.append((label, id_hash(document.id), len(found), languages.setdefault(code, len(languages))))
                licenses |= {document.license} - {""}
    table = np.array(rows, np.uint64).reshape(-1, 4)
    kept = _chosen(table, params.max_documents)
    np.save(out / "documents.npy", table[kept])
    np.save(out / "features.npy", np.concatenate([np.zeros(0, np.uint32), *(features[number] for number in kept)]))
    return {"languages": list(languages), "licenses": sorted(licenses)}


def fit_documents(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The weights of all documents in the folders; facts are the held-out measures."""
    params = parse_params(Params, job["params"], where="corpus.train_quality")
    tables, features = [np.zeros((0, 4), np.uint64)], []
    for folder, codes in job["folders"]:
        table = np.load(Path(folder) / "documents.npy")
        numbers = np.array([job["languages"].index(code) for code in codes], np.uint64)
        if len(table):
            table[:, _LANGUAGES] = numbers[table[:, _LANGUAGES].astype(np.int64)]
            sizes = table[:, _SIZES].astype(np.int64)
            features += np.split(np.load(Path(folder) / "features.npy"), np.cumsum(sizes)[:-1])
        tables.append(table)
    table = np.concatenate(tables)
    held = np.array([is_held_out(int(number), params.held_out_share) for number in table[:, _HASHES]], bool)
    both = [
        n for n in range(len(job["languages"])) if len(set(table[(table[:, _LANGUAGES] == n) & ~held, _LABELS])) == 2
    ]
    table[~np.isin(table[:, _LANGUAGES], both), _SIZES] = 0  # a language of which only one side is known says nothing
    usable = [number for number in _chosen(table, params.max_documents) if table[number, _SIZES]]
    train = [number for number in usable if not held[number]]
    weights = np.zeros(1 << params.hash_bits, np.float32)
    if train:
        labels = table[train, _LABELS].astype(np.float64)
        sizes = table[train, _SIZES].astype(np.int64)
        weights = fit(np.concatenate([features[n] for n in train]), sizes, labels, _importance(table[train]), params)
    np.save(out / WEIGHTS, weights)
    test = [number for number in usable if held[number]]
    return {
        "documents": len(train),
        **_measured(weights, features, table, test, [job["languages"][n] for n in both], both),
    }


def _chosen(table: np.ndarray, max_documents: int) -> np.ndarray:
    """Places of at most `max_documents` of each label, those with the lowest hashes, in the order of hashes."""
    order = np.argsort(table[:, _HASHES], kind="stable")
    parts = [order[table[order, _LABELS] == label][:max_documents] for label in (1, 0)]
    return np.concatenate(parts)


def _importance(table: np.ndarray) -> np.ndarray:
    """Weights [D], 1 on average, that make both sides of every language count alike: a language is no quality."""
    groups = table[:, _LANGUAGES] * np.uint64(2) + table[:, _LABELS]
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return len(table) / (len(counts) * counts[group])


def _measured(
    weights: np.ndarray, features: list, table: np.ndarray, test: list[int], codes: list[str], numbers: list[int]
) -> dict[str, Any]:
    """AUC on held-out documents, in all and by language; a language without both sides there has none."""
    scores = np.array([logits(weights, features[n], np.array([len(features[n])]))[0] for n in test])
    labels, languages = table[test, _LABELS], table[test, _LANGUAGES]
    rows = {}
    for code, number in zip(codes, numbers, strict=True):
        mine = languages == number
        value = auc(scores[mine & (labels == 1)], scores[mine & (labels == 0)])
        rows[code] = {"held_out_documents": int(mine.sum()), **({"auc": round(value, 4)} if value is not None else {})}
    value = auc(scores[labels == 1], scores[labels == 0])
    return {"by_language": rows, **({"auc": round(value, 4)} if value is not None else {})}


def auc(good: np.ndarray, other: np.ndarray) -> float | None:
    """Probability that a good one scores higher than another, ties half; None if either is empty."""
    if not len(good) or not len(other):
        return None
    ordered = np.sort(other)
    below = np.searchsorted(ordered, good, "left") + np.searchsorted(ordered, good, "right")
    return float(below.sum() / (2 * len(good) * len(other)))
