"""Short ASCII names as table rows: looked up in compiled loops by their bytes packed into two numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

LONGEST = 16
"""Bytes of a name that two 64-bit numbers hold."""
MIX_LOW, MIX_HIGH = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)


def name_table(values: Mapping[str, int], bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys [2**bits, 2] (uint64, zero for a free place) and values [2**bits] (int64) of an open hash table.

    At most half of the places may be taken; a name has 1 to LONGEST bytes.
    """
    size = 1 << bits
    if 2 * len(values) > size:
        raise ValueError(f"{len(values)} names do not fit a table of {size}")
    keys, found = np.zeros((size, 2), np.uint64), np.zeros(size, np.int64)
    for name, value in values.items():
        padded = name.encode("ascii").ljust(LONGEST, b"\0")
        low, high = (np.uint64(int.from_bytes(half, "little")) for half in (padded[:8], padded[8:]))
        with np.errstate(over="ignore"):
            place = int((low * MIX_LOW ^ high * MIX_HIGH) >> np.uint64(64 - bits))
        while keys[place].any():
            place = (place + 1) % size
        keys[place], found[place] = (low, high), value
    return keys, found
