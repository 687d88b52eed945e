"""The work of corpus.train_lm: units of every document by shard, then one model of each language."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.document_shards import document_jobs, read_job
from ..core.errors import InputError, RecipeError
from ..core.stage import Artifact, Runtime
from ..lang.codes import known_language, normalise_code
from ..lang.profile import load_profile
from .ngram_lm import NgramModel, text_units, train_model
from .sampling import id_hash, is_held_out
from .scorers import SCORER, write_scorer

METHOD = "ngram_lm"


def train(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write `LANGUAGE.npy` of each language beside scorer.json and return metrics; InputError without any text."""
    if min(params.word_order, params.cluster_order) < 1 or not 0 <= params.held_out_share < 1:
        raise RecipeError("the orders are at least 1 and held_out_share is in 0..1")
    wanted = sorted({normalise_code(code, where="languages") for code in params.languages})
    cuts = document_jobs(sources)
    jobs = [{**cut, "languages": wanted, "max_units": params.max_units_per_language} for cut in cuts]
    weights = [cut["bytes"] for cut in cuts]
    counted = runtime.shards("units", f"{__name__}:count_units", jobs, weights=weights, unit="bytes")
    languages = sorted({code for shard in counted for code in shard.facts["units"]})
    if not languages:
        raise InputError(
            "there is no text in a language with a profile",
            where=", ".join(s.name for s in sources),
            how="Documents need a `language`, such as tha_Thai; corpus.clean gives them one.",
        )
    jobs = [
        _language_job(params, code, [str(s.folder) for s in counted if code in s.facts["units"]]) for code in languages
    ]
    made = runtime.shards("models", f"{__name__}:train_language", jobs, unit="languages")
    for code, shard in zip(languages, made, strict=True):
        shutil.copyfile(shard.folder / f"{code}.npy", runtime.out / f"{code}.npy")
    table = {code: shard.facts["model"] for code, shard in zip(languages, made, strict=True)}
    write_scorer(runtime.out, METHOD, languages=table)
    by_language = {code: shard.facts["metrics"] for code, shard in zip(languages, made, strict=True)}
    return {
        "documents": sum(row["documents"] for row in by_language.values()),
        "units": sum(row["units"] for row in by_language.values()),
        "licenses": sorted({name for shard in counted for name in shard.facts["licenses"]}),
        "by_language": by_language,
    }


def _language_job(params: Any, code: str, folders: list[str]) -> dict[str, Any]:
    spaced = load_profile(code).spaced
    return {
        "language": code,
        "folders": folders,
        "spaced": spaced,
        "order": params.word_order if spaced else params.cluster_order,
        "max_units": params.max_units_per_language,
        "max_ngrams": params.max_ngrams,
        "held_out_share": params.held_out_share,
    }


def count_units(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Units of a job's documents by language: `LANGUAGE.units.npy` end to end, `LANGUAGE.documents.npy` [D, 2] with the
    hash of each id and the number of its units."""
    texts: dict[str, list[np.ndarray]] = defaultdict(list)
    ids: dict[str, list[int]] = defaultdict(list)
    licenses = set()
    for document in read_job(job):
        code = known_language(document.language)
        if code and (not job["languages"] or code in job["languages"]):
            found = text_units(document.text, load_profile(code).spaced)
            if len(found) == 1:
                continue  # only BEGIN: there is nothing to learn, and a model of nothing is no model
            texts[code].append(found)
            ids[code].append(id_hash(document.id))
            licenses |= {document.license} - {""}
    for code, parts in texts.items():
        table = np.array([ids[code], [len(part) for part in parts]], np.uint64).T
        kept = _lowest(table, job["max_units"])
        np.save(out / f"{code}.units.npy", np.concatenate([parts[number] for number in kept]))
        np.save(out / f"{code}.documents.npy", table[kept])
    return {
        "units": {code: sum(map(len, parts)) for code, parts in sorted(texts.items())},
        "licenses": sorted(licenses),
    }


def train_language(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The model of one language, written as `LANGUAGE.npy`."""
    code = job["language"]
    units, documents = [], []
    for folder in map(Path, job["folders"]):
        documents.append(np.load(folder / f"{code}.documents.npy"))
        whole = np.load(folder / f"{code}.units.npy", mmap_mode="r")
        units += np.split(whole, np.cumsum(documents[-1][:, 1].astype(np.int64))[:-1])
    table = np.concatenate(documents)
    held = [number for number in range(len(table)) if is_held_out(int(table[number, 0]), job["held_out_share"])]
    train = np.setdiff1d(np.arange(len(table)), held)
    if not len(train):
        held, train = [], np.arange(len(table))
    train = train[_lowest(table[train], job["max_units"])]
    hashes_T = np.concatenate([units[number] for number in train])
    model = train_model(hashes_T, order=job["order"], spaced=job["spaced"], max_ngrams=job["max_ngrams"])
    model.table.save(out / f"{code}.npy")
    bits = sum(model.bits_of(np.asarray(units[number])) for number in held)
    count = sum(len(units[number]) - 1 for number in held)
    metrics = {"documents": len(train), "units": len(hashes_T) - len(train), "held_out_documents": len(held)}
    if count:
        metrics |= {
            "held_out_bits_per_unit": round(bits / count, 4),
            "held_out_perplexity": round(2 ** (bits / count), 2),
        }
    fields = {"order": model.order, "spaced": model.spaced, "unknown_bits": model.unknown_bits}
    return {"model": fields, "metrics": metrics}


def _lowest(documents: np.ndarray, max_units: int) -> np.ndarray:
    """Places of the documents with the lowest hashes that together have at most `max_units`, in the order of hashes;
    the first one always, so that there is one."""
    order = np.argsort(documents[:, 0], kind="stable")
    ends = np.cumsum(documents[order, 1].astype(np.int64))
    return order[: max(1, int(np.searchsorted(ends, max_units, "right")))]


class LanguageModels:
    """A trained scorer: higher is better, namely minus the bits that a unit of the text takes."""

    method = METHOD

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows = json.loads((folder / SCORER).read_text(encoding="utf-8"))["languages"]
        self._models: dict[str, NgramModel] = {}

    def score(self, text: str, language: str) -> float | None:
        """Minus bits per unit; None for a language without a model or a text without units."""
        if language not in self._rows:
            return None
        if language not in self._models:
            self._models[language] = NgramModel.load(self._folder / f"{language}.npy", **self._rows[language])
        bits, count = self._models[language].bits(text)
        return -bits / count if count else None
