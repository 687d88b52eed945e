"""Near duplicates: the jobs that bring documents with an equal band together, compare them and join them.

`bands` sorts a shard's band keys; `pairs` reads a range of keys from all shards and names the pairs to compare;
`verify` compares the pairs whose first document is in its shard, by the exact Jaccard similarity of their shingle sets;
`clusters` joins what is similar and chooses which document of each cluster stays.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .components import components
from .shingles import jaccard
from .spill import Ragged, addresses, lengths, read_range, save_sorted, shard_folders
from .verdicts import MEMBER, NEAR, STAYS, judge, read_verdicts

WINDOW = 16
"""Documents after each one in a bucket that it is compared with, in the order of their content: keeps buckets linear.
Members of a true cluster stay connected, since each is compared with other neighbours in every band that they share."""
BAND = np.dtype([("key", "u8"), ("tie", "u8"), ("at", "u8")])
PAIR = np.dtype([("a", "u8"), ("b", "u8")])
OPEN_SHARDS = 256
"""Shards whose shingles are open at once while pairs are compared."""


def bands(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The band keys of the shard's documents that are no exact duplicates of a better one."""
    folder = shard_folders(job["sign"])[job["shard"]]
    keys_DB, ties_D = np.load(folder / "keys.npy"), np.load(folder / "ranks.npy")["tie"]
    stays_D = lengths(folder, "shingles") > 0
    stays_D[np.load(folder / "twins.npy")[:, 0]] = False
    rows, verdicts = read_verdicts(job["exact"], job["shard"])
    stays_D[rows[verdicts["reason"] != STAYS]] = False
    rows = np.flatnonzero(stays_D)
    records = np.empty((len(rows), keys_DB.shape[1]), BAND)
    records["key"], records["tie"] = keys_DB[rows], ties_D[rows, None]
    records["at"] = (rows + addresses(job["shard"])[0])[:, None]
    save_sorted(out / "bands.npy", records.reshape(-1), by="key")
    return {"documents": len(rows)}


def pairs(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Pairs of documents that share a band key in the job's range, each once, the smaller address first."""
    records = read_range(job["bands"], "bands.npy", *job["range"])
    keys = np.sort(records["key"])
    shared = np.unique(keys[1:][keys[1:] == keys[:-1]])
    places = np.minimum(np.searchsorted(shared, records["key"]), max(0, len(shared) - 1))
    records = records[shared[places] == records["key"]] if len(shared) else records[:0]
    records = records[np.lexsort((records["at"], records["tie"], records["key"]))]
    keys, at = records["key"], records["at"]
    found = [np.empty((0, 2), np.uint64)]
    for shift in range(1, WINDOW + 1):
        places = np.flatnonzero(keys[shift:] == keys[:-shift])
        found.append(np.stack([at[places], at[places + shift]], axis=1))
    unique = _unique(np.sort(np.concatenate(found), axis=1))
    np.save(out / "pairs.npy", unique)
    return {"pairs": len(unique)}


def verify(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The shard's pairs that are similar enough, as a forest: each document with the smallest it is connected to."""
    found = read_range(job["pairs"], "pairs.npy", *addresses(job["shard"]))
    candidates = _unique(np.stack([found["a"], found["b"]], axis=1))
    folders, threshold = shard_folders(job["sign"]), job["threshold"]
    opened = functools.lru_cache(maxsize=OPEN_SHARDS)(lambda shard: Ragged(folders[shard], "shingles"))
    similar_N = np.zeros(len(candidates), bool)
    for place, (a, b) in enumerate(candidates.tolist()):
        one, other = opened(a >> 32)[a & 0xFFFFFFFF], opened(b >> 32)[b & 0xFFFFFFFF]
        similar_N[place] = jaccard(one, other, at_least=threshold) >= threshold
    edges = candidates[similar_N]
    nodes, roots = components(np.stack([edges["a"], edges["b"]], axis=1))
    np.save(out / "edges.npy", np.stack([nodes, roots], axis=1)[nodes != roots])
    return {"compared": len(candidates), "similar": len(edges)}


def clusters(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Verdicts on all documents that have a near duplicate: the one step whose memory grows with their number."""
    nodes, roots = components(
        np.concatenate([np.load(folder / "edges.npy", mmap_mode="r") for folder in shard_folders(job["verify"])])
    )
    members = np.zeros(len(nodes), MEMBER)
    members["key"], members["at"], members["size"] = roots, nodes, 1
    shards = (nodes >> np.uint64(32)).astype(np.int64)
    for shard, folder in enumerate(shard_folders(job["sign"])):
        first, end = np.searchsorted(shards, [shard, shard + 1])
        if first == end:
            continue
        part, low = members[first:end], addresses(shard)[0]
        rows = (part["at"] - np.uint64(low)).astype(np.int64)
        ranks = np.load(folder / "ranks.npy", mmap_mode="r")[rows]
        part["order"], part["tie"] = ranks["order"], ranks["tie"]
        twins, verdicts = read_verdicts(job["exact"], shard)
        best = verdicts["reason"] == STAYS
        places = np.searchsorted(rows, twins[best])
        inside = places < len(rows)
        inside[inside] = rows[places[inside]] == twins[best][inside]
        part["size"][places[inside]] = verdicts["size"][best][inside]
    verdicts = judge(members, NEAR)
    np.save(out / "verdicts.npy", verdicts)
    return {"documents": len(nodes), "clusters": len(np.unique(roots))}


def _unique(pairs_N2: np.ndarray) -> np.ndarray:
    """Sorted PAIR records of pairs [N, 2], each once."""
    order = np.lexsort((pairs_N2[:, 1], pairs_N2[:, 0]))
    pairs_N2 = pairs_N2[order]
    new = np.ones(len(pairs_N2), bool)
    new[1:] = (pairs_N2[1:] != pairs_N2[:-1]).any(axis=1)
    return np.ascontiguousarray(pairs_N2[new], np.uint64).view(PAIR).reshape(-1)
