"""Random numbers by position: 16 bits for element i of (seed, tensor, model), the same however the work is cut.

A key is BLAKE2b of (seed, tensor name, model index); the 64-bit word number c of a key is SplitMix64's output after
c + 1 steps from that key (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), and
holds the draws of elements 4c … 4c+3, lowest bits first. Order, chunking and threads therefore cannot matter.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

STEPS = 1 << 16
"""A draw is uniform on 0 … STEPS - 1."""
_GAMMA, _MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


def stream_key(seed: int, tensor: str, model: int) -> int:
    """The 64-bit key of one model's draws for one tensor."""
    digest = hashlib.blake2b(f"{seed}\0{tensor}\0{model}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


@functools.lru_cache(maxsize=4)
def _ramp(count: int) -> np.ndarray:
    ramp = np.arange(1, count + 1, dtype=np.uint64)
    ramp *= np.uint64(_GAMMA)
    ramp.flags.writeable = False
    return ramp


def draws(key: int, start: int, count: int) -> np.ndarray:
    """Draws (uint16) of elements start … start + count - 1."""
    first, last = start // 4, -(-(start + count) // 4)
    words = _ramp(last - first) + np.uint64((key + first * _GAMMA) & _MASK)
    scratch = words >> np.uint64(30)
    words ^= scratch
    words *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(words, np.uint64(27), out=scratch)
    words ^= scratch
    words *= np.uint64(0x94D049BB133111EB)
    np.right_shift(words, np.uint64(31), out=scratch)
    words ^= scratch
    skip = start - 4 * first
    return words.astype("<u8", copy=False).view("<u2")[skip : skip + count]
