"""Sorted records on disk, by which rows that belong together are found across shards in bounded memory.

Every shard writes one file of records sorted by a 64-bit key. A bucket is a range of keys; reading it takes its slice
out of every shard's file. Records are numpy structured arrays whose first field is the key. A row of shard s is called
by its address, s * 2**32 + row, so rows of one shard are a range of addresses too.

What belongs to one row and differs in length lies in ragged files, of which single rows can be read.
"""

from __future__ import annotations

import itertools
import os
from bisect import bisect_left
from pathlib import Path

import numpy as np

BUCKET_RECORDS = 1_000_000
"""Records that a bucket holds at about equal spread; of 24 to 44 bytes each, which sorting and pairing multiply."""


def save_sorted(path: Path, records: np.ndarray, *, by: str) -> None:
    """Write records sorted by their first field, whose name is `by`."""
    np.save(path, records[np.argsort(records[by])])


def bucket_ranges(records: int) -> list[tuple[int, int]]:
    """Ranges [low, high) of 64-bit keys, each for about BUCKET_RECORDS of so many evenly spread records."""
    number = max(1, -(-records // BUCKET_RECORDS))
    cuts = [(place << 64) // number for place in range(number + 1)]
    return list(itertools.pairwise(cuts))


def addresses(shard: int) -> tuple[int, int]:
    """The range [low, high) of addresses of a shard's rows."""
    return shard << 32, (shard + 1) << 32


def shard_folders(root: Path | str) -> list[Path]:
    """The finished shards of a phase, in the order of its jobs."""
    return sorted((item for item in Path(root).iterdir() if item.name.isdigit()), key=lambda item: int(item.name))


def read_range(root: Path | str, name: str, low: int, high: int) -> np.ndarray:
    """The records with low <= key < high of the sorted file `name` of every shard, one shard's after another's."""
    parts = []
    for folder in shard_folders(root):
        records = np.load(folder / name, mmap_mode="r")
        keys = records[records.dtype.names[0]]
        first = bisect_left(keys, low, key=int)
        parts.append(np.array(records[first : bisect_left(keys, high, first, key=int)]))
    return np.concatenate(parts)


class RaggedWriter:
    """Writes uint32 arrays of differing length, row by row, into `<name>.bin` and `<name>.offsets.npy`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / name
        self._file = open(self._path.with_suffix(".bin"), "wb")
        self._ends: list[np.ndarray] = []
        self._rows = 0

    def add(self, values: np.ndarray, ends: np.ndarray) -> None:
        """More rows: `values` of all of them and, counted from the first, where each ends."""
        self._file.write(values.astype(np.uint32, copy=False).tobytes())
        self._ends.append(np.asarray(ends, np.int64) + self._rows)
        self._rows += len(values)

    def close(self) -> None:
        self._file.close()
        np.save(self._path.with_suffix(".offsets.npy"), np.concatenate([np.zeros(1, np.int64), *self._ends]))


class Ragged:
    """Rows of what a RaggedWriter wrote, each read when it is asked for."""

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / name
        self._file = open(path.with_suffix(".bin"), "rb", buffering=0)
        self.offsets = np.load(path.with_suffix(".offsets.npy"))

    def __getitem__(self, row: int) -> np.ndarray:
        first, end = self.offsets[row : row + 2].tolist()
        return np.frombuffer(os.pread(self._file.fileno(), 4 * (end - first), 4 * first), np.uint32)

    def __del__(self) -> None:
        self._file.close()


def lengths(folder: Path, name: str) -> np.ndarray:
    """How long the rows of a ragged file are."""
    return np.diff(np.load((folder / name).with_suffix(".offsets.npy")))
