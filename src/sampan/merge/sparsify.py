"""Ways to thin a task vector: magnitude trim (TIES), random drop (DARE), rank-dependent random drop (DELLA).

Shapes: N elements of a block, R rows of C columns with N = R·C. At density 1 each returns its input itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import numpy as np

from .draws import STEPS

_MAGNITUDE = np.uint32(0x7FFFFFFF)


def trim(delta_N: np.ndarray, threshold: float) -> np.ndarray:
    """Zero the elements whose magnitude is below `threshold` (TIES, arXiv:2306.01708, section 3.1)."""
    return delta_N * (np.abs(delta_N) >= np.float32(threshold))


def trim_threshold(blocks: Callable[[], Iterable[np.ndarray]], size: int, density: float) -> float:
    """The magnitude of the `round(density·size)`-th largest element of a tensor given as blocks.

    Elements equal to it are all kept, so the kept share may exceed `density` where magnitudes coincide (ours; the
    paper does not say), and the result depends on no order. Two passes of counting over the upper and lower halves of
    the float's bits, which order magnitudes as integers do: exact, without a sort and without holding the tensor.
    """
    keep = max(1, round(density * size))
    upper = np.zeros(1 << 15, np.int64)
    for delta_N in blocks():
        upper += np.bincount(_magnitude_bits(delta_N) >> np.uint32(16), minlength=1 << 15)
    high, above = _find(upper, keep)
    lower = np.zeros(1 << 16, np.int64)
    for delta_N in blocks():
        bits = _magnitude_bits(delta_N)
        inside = bits[bits >> np.uint32(16) == high]
        lower += np.bincount(inside & np.uint32(0xFFFF), minlength=1 << 16)
    low, _ = _find(lower, keep - above)
    return float(np.array(high << 16 | low, np.uint32).view(np.float32))


def _magnitude_bits(delta_N: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(delta_N, np.float32).view(np.uint32) & _MAGNITUDE


def _find(counts: np.ndarray, keep: int) -> tuple[int, int]:
    """The bin that holds the `keep`-th element counted from the top, and how many elements lie above that bin."""
    from_top = np.cumsum(counts[::-1])
    at = int(np.searchsorted(from_top, keep))
    return len(counts) - 1 - at, int(from_top[at - 1]) if at else 0


def _steps(probability: np.ndarray | float) -> np.ndarray:
    """Keep probabilities as numbers of draws out of STEPS, at least one."""
    return np.maximum(1, np.rint(np.asarray(probability) * STEPS)).astype(np.uint32)


def dare(delta_N: np.ndarray, density: float, draws_N: Callable[[], np.ndarray]) -> np.ndarray:
    """Keep each element with probability `density` and divide it by that (DARE, arXiv:2311.03099): unbiased.

    The probability is rounded to a multiple of 1/65536 and the rounded one divides, so the mean is exact.
    """
    if density >= 1:
        return delta_N
    steps = int(_steps(density))
    kept = delta_N * (draws_N() < steps)
    kept *= np.float32(STEPS / steps)
    return kept


@functools.lru_cache(maxsize=16)
def keep_steps(columns: int, density: float, epsilon: float) -> np.ndarray:
    """MAGPRUNE's keep probability, in 1/65536, of ranks 0 (least magnitude) … C-1: linear from d - ε to d + ε."""
    ramp = np.linspace(density - epsilon, density + epsilon, columns) if columns > 1 else np.array([density])
    return _steps(np.clip(ramp, 0, 1))


def magprune(
    delta_N: np.ndarray, density: float, epsilon: float, draws_N: Callable[[], np.ndarray], columns: int
) -> np.ndarray:
    """Drop small elements more often (DELLA's MAGPRUNE, arXiv:2406.11617, section 3): unbiased.

    Within each row of `columns` elements the one with the r-th least magnitude (equal magnitudes by column) is kept
    with probability d - ε + 2ε·r/(C-1) and divided by it. (MergeKit instead rescales the tensor to its old L1 norm,
    which over-weights the large elements.) `epsilon` is MergeKit's: half the paper's.
    """
    if density >= 1:
        return delta_N
    rows = delta_N.size // columns
    steps_C = keep_steps(columns, density, epsilon)
    key_RC = _magnitude_bits(delta_N).astype(np.uint64).reshape(rows, columns)
    key_RC <<= np.uint64(32)
    key_RC |= np.arange(columns, dtype=np.uint64)
    key_RC.sort(axis=1)
    key_RC &= np.uint64(0xFFFFFFFF)
    order_RC = key_RC.view(np.int64)
    order_RC += np.arange(rows)[:, None] * columns
    factor_RC = (draws_N().take(order_RC) < steps_C) * (np.float32(STEPS) / steps_C.astype(np.float32))
    factor_N = np.empty(delta_N.size, np.float32)
    factor_N[order_RC] = factor_RC
    factor_N *= delta_N
    return factor_N
