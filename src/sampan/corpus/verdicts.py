"""What becomes of each document: stays, or goes for a reason; and the records that deduplication's jobs exchange."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .keep import NEW, best_of_groups
from .spill import addresses, read_range

REASONS = ("", "exact_duplicate", "near_duplicate", "duplicate_of_earlier")
STAYS, EXACT, NEAR, EARLIER = range(4)
RANK = np.dtype([("order", "u8"), ("tie", "u8")])
MEMBER = np.dtype([("key", "u8"), ("low", "u8"), ("order", "u8"), ("tie", "u8"), ("at", "u8"), ("size", "u4")])
"""A document in a set of equal or similar ones: the set's name (`key`, `low`), its rank, its address, and for how many
documents it stands."""
VERDICT = np.dtype([("at", "u8"), ("size", "u4"), ("reason", "u1")])
"""Of a document in a set of more than itself: REASONS[reason]; `size` of the whole set if it stays, else 0."""


def judge(members: np.ndarray, reason: int) -> np.ndarray:
    """Verdicts, sorted by address, on the members [N] of sets: the best of each stays.

    Sets of one document that stands for itself alone get none. Documents of an earlier corpus are judged too, as the
    rest of their set refers to them.
    """
    sorted_N, first_N, starts_G = best_of_groups(members, ("key", "low"))
    verdicts = np.zeros(len(members), VERDICT)
    verdicts["at"] = members["at"][sorted_N]
    verdicts["reason"] = np.where(members["order"][first_N] < NEW, EARLIER, reason)
    verdicts["reason"][starts_G] = STAYS
    if len(members):
        sizes_G = np.add.reduceat(members["size"][sorted_N].astype(np.int64), starts_G)
        verdicts["size"][starts_G] = np.minimum(sizes_G, 0xFFFFFFFF)
    told = verdicts[(verdicts["reason"] != STAYS) | (verdicts["size"] > 1)]
    return told[np.argsort(told["at"])]


def read_verdicts(root: Path | str, shard: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows [N], verdicts [N]) of one shard's documents, out of what all jobs of a phase decided."""
    low, high = addresses(shard)
    verdicts = read_range(root, "verdicts.npy", low, high)
    return (verdicts["at"] - np.uint64(low)).astype(np.int64), verdicts
