"""Near duplicates among shingle sets: MinHash signatures, bands, exact check of every candidate pair, union-find."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from .shingles import jaccard

WANTED_RECALL = 0.99
WINDOW = 32
"""Members of one bucket compared with each member, in the order of their content: keeps huge buckets linear."""


def bands(num_perm: int, threshold: float) -> tuple[int, int]:
    """(bands, rows): the longest rows at which a pair at the threshold shares a band with WANTED_RECALL or more."""
    for rows in range(num_perm, 0, -1):
        number = num_perm // rows
        if 1 - (1 - threshold**rows) ** number >= WANTED_RECALL:
            return number, rows
    return num_perm, 1


def signatures(sets: Iterable[np.ndarray], num_perm: int, *, batch: int = 512) -> Iterator[np.ndarray]:
    """MinHash signatures [D, num_perm] (uint32) of batches of shingle sets, in order."""
    from rensa import RMinHash

    pending: list[np.ndarray] = []

    def flush() -> np.ndarray:
        offsets = np.cumsum([0, *map(len, pending)]).tolist()
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(np.concatenate(pending), offsets, num_perm, 1)
        pending.clear()
        return np.asarray(matrix.to_rows(), np.uint32)

    for item in sets:
        pending.append(item)
        if len(pending) == batch:
            yield flush()
    if pending:
        yield flush()


def near_duplicates(
    signatures_DP: np.ndarray, shingles_of: Callable[[int], np.ndarray], keys: list[bytes], *, threshold: float
) -> list[int]:
    """For each of D documents the number of its set's first member; a set is what chains of near duplicates connect.

    `keys` order documents by content alone, so which sets come out does not depend on the order of the documents.
    """
    number, rows = bands(signatures_DP.shape[1], threshold)
    parents = list(range(len(signatures_DP)))
    checked: dict[tuple[int, int], bool] = {}
    for band in range(number):
        buckets = defaultdict(list)
        part = np.ascontiguousarray(signatures_DP[:, band * rows : (band + 1) * rows])
        for document, row in enumerate(part):
            buckets[row.tobytes()].append(document)
        for members in buckets.values():
            if len(members) == 1:
                continue
            members.sort(key=keys.__getitem__)
            for place, a in enumerate(members):
                for b in members[place + 1 : place + 1 + WINDOW]:
                    pair = (min(a, b), max(a, b))
                    if pair not in checked:
                        checked[pair] = jaccard(shingles_of(a), shingles_of(b)) >= threshold
                        if checked[pair]:
                            _join(parents, a, b)
    return [_root(parents, document) for document in range(len(parents))]


def _root(parents: list[int], item: int) -> int:
    while parents[item] != item:
        parents[item] = parents[parents[item]]
        item = parents[item]
    return item


def _join(parents: list[int], a: int, b: int) -> None:
    a, b = _root(parents, a), _root(parents, b)
    parents[max(a, b)] = min(a, b)
