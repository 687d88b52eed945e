"""A table from n-gram hashes to a log-probability and a backoff weight, four bytes an entry, looked up in bulk.

Buckets of WAYS slots are addressed by the low bits of a hash; a slot holds 16 bits of it beside both values, quantised
to a byte each. What finds its bucket full is left out, the rarest first. About one look-up in 4,000 of a hash that is
not there finds another's entry.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

WAYS = 8
PROBABILITY_STEPS, BACKOFF_STEPS = 8, 16
"""Steps to a bit of information: a probability is told from 2**-32 up, a backoff weight from 2**-16 up."""


class NgramTable:
    """`slots_BW`: B buckets (a power of two) of W = WAYS slots."""

    def __init__(self, slots_BW: np.ndarray) -> None:
        self.slots_BW = slots_BW
        self._mask = np.uint64(len(slots_BW) - 1)

    @classmethod
    def build(cls, keys_N: np.ndarray, bits_N: np.ndarray, backoffs_N: np.ndarray) -> NgramTable:
        """A table of N unique hashes (uint64), the most important first; bits are -log2, never negative."""
        buckets = 1 << max(4, (2 * len(keys_N) // WAYS - 1).bit_length())
        slots_BW = np.zeros((buckets, WAYS), np.uint32)
        home_N = (keys_N & np.uint64(buckets - 1)).astype(np.int64)
        order = np.argsort(home_N, kind="stable")
        sorted_N = home_N[order]
        place_N = np.arange(len(order)) - np.searchsorted(sorted_N, sorted_N)
        fits = place_N < WAYS
        chosen = order[fits]
        slots_BW[sorted_N[fits], place_N[fits]] = (
            _prints(keys_N[chosen]) << np.uint32(16)
            | _quantised(bits_N[chosen], PROBABILITY_STEPS) << np.uint32(8)
            | _quantised(backoffs_N[chosen], BACKOFF_STEPS)
        )
        return cls(slots_BW)

    def look_up(self, keys_Q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of Q hashes: whether each is there, and -log2 of its probability and backoff weight, else 0 [Q each]."""
        rows_QW = self.slots_BW[(keys_Q & self._mask).astype(np.int64)]
        hits_QW = (rows_QW >> np.uint32(16)) == _prints(keys_Q)[:, None]
        place_Q = hits_QW.argmax(1)
        every = np.arange(len(keys_Q))
        found_Q = hits_QW[every, place_Q]
        values_Q = np.where(found_Q, rows_QW[every, place_Q], np.uint32(0))
        bits_Q = ((values_Q >> np.uint32(8)) & np.uint32(255)) / np.float32(PROBABILITY_STEPS)
        return found_Q, bits_Q, (values_Q & np.uint32(255)) / np.float32(BACKOFF_STEPS)

    def save(self, path: Path) -> None:
        np.save(path, self.slots_BW, allow_pickle=False)

    @classmethod
    def load(cls, path: Path) -> NgramTable:
        """ValueError if the file is none that `save` wrote."""
        slots_BW = np.load(path, mmap_mode="r", allow_pickle=False)
        if slots_BW.ndim != 2 or slots_BW.shape[1] != WAYS or slots_BW.dtype != np.uint32:
            raise ValueError("not a table of n-grams")
        if len(slots_BW) & (len(slots_BW) - 1):
            raise ValueError("a table of n-grams with a number of buckets that is no power of two")
        return cls(slots_BW)


def _prints(keys: np.ndarray) -> np.ndarray:
    """Sixteen bits of each hash, never all zero, which marks an empty slot."""
    return (keys >> np.uint64(48)).astype(np.uint32) | np.uint32(1)


def _quantised(bits: np.ndarray, steps: int) -> np.ndarray:
    return np.clip(np.rint(bits * steps), 0, 255).astype(np.uint32)
