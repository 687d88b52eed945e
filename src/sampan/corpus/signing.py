"""The job that reads a shard's documents for deduplication: their digests, ranks, shingles and band keys, onto disk.

It writes, for the shard's D documents: `ranks.npy` [D], `exact.npy` (a MEMBER of each set of equal documents: the best
of the shard, standing for its twins), `twins.npy` [T, 2] (row of a twin, row of that best), and for MinHash
the ragged file `shingles` and `keys.npy` [D, bands].
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.documents import Document
from ..core.params import parse_params
from .keep import best_of_groups, ranking
from .minhash import band_keys, bands
from .phases import batches
from .shingles import digest, folded, shingles
from .spill import RaggedWriter, addresses, save_sorted
from .verdicts import MEMBER, RANK


def sign(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    from .dedup import Params

    params = parse_params(Params, job["params"], where="corpus.dedup")
    rank, low = ranking(params, earlier=job["earlier"]), addresses(job["shard"])[0]
    members: list[tuple] = []
    signatures = _Signatures(params, out)
    for documents, sources in batches(job):
        texts = folded([document.text for document in documents])
        for document, source, text in zip(documents, sources, texts, strict=True):
            order, tie = rank(document, source)
            name = digest(text)
            key, more = int.from_bytes(name[:8], "little"), int.from_bytes(name[8:], "little")
            members.append((key, more, order, tie, low + len(members), _copies(document)))
        signatures.add(texts)
    signatures.close()
    records = np.array(members, MEMBER)
    np.save(out / "ranks.npy", records[["order", "tie"]].astype(RANK))
    _fold_twins(records, low, out)
    return {"documents": len(records)}


def _copies(document: Document) -> int:
    """For how many documents this one stands, as an earlier deduplication counted them."""
    copies = document.meta.get("copies")
    return min(copies, 0xFFFFFFFF) if isinstance(copies, int) and copies > 1 else 1


def _fold_twins(records: np.ndarray, low: int, out: Path) -> None:
    """Let the best of equal documents stand for the others of the shard."""
    sorted_N, first_N, starts_G = best_of_groups(records, ("key", "low"))
    best = records[sorted_N[starts_G]]
    if len(records):
        best["size"] = np.minimum(np.add.reduceat(records["size"][sorted_N].astype(np.int64), starts_G), 0xFFFFFFFF)
    save_sorted(out / "exact.npy", best, by="key")
    np.save(out / "twins.npy", np.stack([sorted_N, first_N], axis=1)[sorted_N != first_N])


class _Signatures:
    """Files of shingles and band keys, written batch by batch; nothing for the exact method."""

    def __init__(self, params: Any, out: Path) -> None:
        self._params, self._out, self._bands = params, out, bands(params.num_perm, params.threshold)
        self._keys = [np.zeros((0, self._bands[0]), np.uint64)]
        self._shingles = RaggedWriter(out, "shingles") if params.method == "minhash" else None

    def add(self, texts: list[str]) -> None:
        if self._shingles is not None:
            params = self._params
            hashes, offsets = shingles(texts, word_ngram=params.word_ngram, cluster_ngram=params.cluster_ngram)
            self._shingles.add(hashes, offsets[1:])
            self._keys.append(band_keys(hashes, offsets, params.num_perm, *self._bands))

    def close(self) -> None:
        if self._shingles is not None:
            self._shingles.close()
            np.save(self._out / "keys.npy", np.concatenate(self._keys))
