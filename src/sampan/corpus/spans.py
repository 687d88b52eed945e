"""Equal runs of units anywhere in two documents, found without a suffix array and checked unit by unit.

    index     per shard     the documents' units, and a selection of fingerprints of runs of half the length wanted
    repeated  per key range documents that share a fingerprint; the worse ones are to be compared with a better one
    verify    per shard     each comparison, unit by unit: the spans to take out

Winnowing selects, of every N - k + 1 neighbouring fingerprints of k units, the smallest: any run of N units that two
documents share contains one that is selected in both. A span goes only if a document that ranks before has all of it,
so of every passage one copy stays, in the best document that has it. Of documents that share a fingerprint, each is
compared with the best and with the next better one, which keeps the work linear.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.params import parse_params
from ..lang.units import Units, ngram_hashes, units
from .dedup_passages import Params
from .keep import NEW, ranking
from .phases import batches
from .shingles import folded
from .spill import Ragged, RaggedWriter, addresses, read_range, save_sorted, shard_folders

PRINT = np.dtype([("key", "u8"), ("order", "u8"), ("tie", "u8"), ("at", "u8"), ("place", "u4")])
"""A fingerprint, the rank and address of its document, and the unit at which it begins."""
COMPARE = np.dtype([("at", "u8"), ("place", "u4"), ("next", "u1"), ("other", "u8"), ("other_place", "u4")])
"""Two documents to compare around two places; `next` is 0 if the other is the best with the fingerprint, else 1."""
OPEN_SHARDS = 256
"""Shards whose units are open at once while documents are compared."""


def index(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The units of all documents (upper halves of their hashes), and the selected fingerprints."""
    params = parse_params(Params, job["params"], where="corpus.dedup_passages")
    rank, at = ranking(params, earlier=job["earlier"]), addresses(job["shard"])[0]
    parts, stored = [np.empty(0, PRINT)], RaggedWriter(out, "units")
    for documents, sources in batches(job):
        for document, source in zip(documents, sources, strict=True):
            hashes_U = caseless_units(document.text).hashes_U
            stored.add(hashes_U >> np.uint64(32), np.array([len(hashes_U)]))
            keys, places = fingerprints(hashes_U, params.min_units)
            records = np.empty(len(keys), PRINT)
            records["order"], records["tie"] = rank(document, source)
            records["key"], records["place"], records["at"] = keys, places, at
            parts.append(records)
            at += 1
    stored.close()
    records = np.concatenate(parts)
    save_sorted(out / "prints.npy", records, by="key")
    return {"documents": at - addresses(job["shard"])[0], "records": len(records)}


def fingerprints(hashes_U: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(keys [F], places [F]) of the selected runs of length // 2 units, each key once; none in a shorter text."""
    n = length // 2
    window = length - n + 1
    grams = ngram_hashes(hashes_U, n)
    if len(grams) < window:
        return grams[:0], np.zeros(0, np.int64)
    smallest = np.lib.stride_tricks.sliding_window_view(grams, window).argmin(axis=1)
    places = np.unique(smallest + np.arange(len(smallest)))
    keys, firsts = np.unique(grams[places], return_index=True)
    return keys, places[firsts]


def repeated(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Comparisons to make: documents with a fingerprint in the job's range that too many share, and better ones."""
    prints = read_range(job["index"], "prints.npy", *job["range"])
    prints = prints[np.lexsort([prints[name] for name in ("at", "tie", "order", "key")])]
    new_N = np.ones(len(prints), bool)
    new_N[1:] = prints["key"][1:] != prints["key"][:-1]
    starts_G = np.flatnonzero(new_N)
    sizes_G = np.diff(np.append(starts_G, len(prints)))
    first_N, size_N = np.repeat(starts_G, sizes_G), np.repeat(sizes_G, sizes_G)
    worse = np.flatnonzero((size_N > job["params"]["max_documents"]) & ~new_N & (prints["order"] >= NEW))
    after_best = worse[worse - 1 != first_N[worse]]
    best, following = _compare(prints, worse, first_N[worse], 0), _compare(prints, after_best, after_best - 1, 1)
    save_sorted(out / "compare.npy", np.concatenate([best, following]), by="at")
    return {"pairs": len(best) + len(following)}


def _compare(prints: np.ndarray, worse: np.ndarray, better: np.ndarray, following: int) -> np.ndarray:
    pairs = np.empty(len(worse), COMPARE)
    pairs["at"], pairs["place"], pairs["next"] = prints["at"][worse], prints["place"][worse], following
    pairs["other"], pairs["other_place"] = prints["at"][better], prints["place"][better]
    return pairs


def verify(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The spans [N, 3] (row, first unit, end unit) to take out of the shard's documents, sorted, not overlapping."""
    low, high = addresses(job["shard"])
    pairs = read_range(job["repeated"], "compare.npy", low, high)
    pairs = pairs[np.lexsort((pairs["next"], pairs["place"], pairs["at"]))]
    folders, wanted = shard_folders(job["index"]), job["params"]["min_units"]
    opened = functools.lru_cache(maxsize=OPEN_SHARDS)(lambda shard: Ragged(folders[shard], "units"))
    spans: list[list[int]] = []
    for at, place, _, other, other_place in pairs.tolist():
        row = at - low
        if spans and spans[-1][0] == row and place + wanted // 2 <= spans[-1][2]:
            continue  # this fingerprint goes already; whatever reaches half of N further has another one
        mine, theirs = opened(at >> 32)[at & 0xFFFFFFFF], opened(other >> 32)[other & 0xFFFFFFFF]
        first, end = common_run(mine, place, theirs, other_place)
        if end - first < wanted:
            continue
        while spans and spans[-1][0] == row and first <= spans[-1][2]:
            _, start, stop = spans.pop()
            first, end = min(first, start), max(end, stop)
        spans.append([row, first, end])
    np.save(out / "spans.npy", np.array(spans, np.int64).reshape(-1, 3))
    return {"compared": len(pairs), "spans": len(spans)}


def common_run(mine: np.ndarray, place: int, theirs: np.ndarray, other_place: int) -> tuple[int, int]:
    """(first, end) in `mine` of the longest equal run around `place` in one and `other_place` in the other."""
    before = _equal(mine[:place][::-1], theirs[:other_place][::-1])
    return place - before, place + _equal(mine[place:], theirs[other_place:])


def _equal(one: np.ndarray, other: np.ndarray) -> int:
    """How many first values are equal; looks no further than about twice that."""
    done, step, limit = 0, 256, min(len(one), len(other))
    while done < limit:
        end = min(limit, done + step)
        different = one[done:end] != other[done:end]
        if different.any():
            return done + int(different.argmax())
        done, step = end, 2 * step
    return limit


def removed_spans(job: Mapping[str, Any]) -> Callable[[int, str], list[tuple[int, int]]]:
    """A function (row, text) -> the ranges of characters to take out: the spans' units, and the punctuation and blanks
    after them up to the end of the line."""
    spans = np.load(shard_folders(job["spans"])[job["shard"]] / "spans.npy")

    def removed(row: int, text: str) -> list[tuple[int, int]]:
        first, end = np.searchsorted(spans[:, 0], [row, row + 1])
        if first == end:
            return []
        found = caseless_units(text)
        next_U = np.append(found.starts_U[1:], len(text))
        ranges = []
        for _, start, stop in spans[first:end].tolist():
            tail, limit = int(found.ends_U[stop - 1]), int(next_U[stop - 1])
            line_end = text.find("\n", tail, limit)
            ranges.append((int(found.starts_U[start]), limit if line_end < 0 else line_end))
        return ranges

    return removed


def caseless_units(text: str) -> Units:
    """The units of `text` without differences of case, at the places they have in `text`."""
    return units(folded([text])[0], False)
