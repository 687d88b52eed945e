"""Ways to thin a task vector: magnitude trim (TIES), a band of magnitudes (breadcrumbs), random drops (DARE, DELLA).

Shapes: N elements of a block, R rows of C columns with N = R·C. At density 1 each returns its input itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from .draws import STEPS

_MAGNITUDE = np.uint32(0x7FFFFFFF)


def trim(delta_N: np.ndarray, threshold: float) -> np.ndarray:
    """Zero the elements whose magnitude is below `threshold` (TIES, arXiv:2306.01708, section 3.1)."""
    return delta_N * (np.abs(delta_N) >= np.float32(threshold))


def trim_threshold(blocks: Callable[[], Iterable[np.ndarray]], size: int, density: float) -> float:
    """The magnitude of the `round(density·size)`-th largest element of a tensor given as blocks.

    Elements equal to it are all kept, so the kept share may exceed `density` where magnitudes coincide (ours; the
    paper does not say), and the result depends on no order.
    """
    return kth_magnitudes(lambda: ((delta_N,) for delta_N in blocks()), [[max(1, round(density * size))]])[0][0]


def kth_magnitudes(
    blocks: Callable[[], Iterable[Sequence[np.ndarray]]], ranks: Sequence[Sequence[int]]
) -> list[list[float]]:
    """Per vector the magnitudes of its `ranks`-th largest elements (1 is the largest); each block has all vectors.

    Two passes of counting over the upper and lower halves of the float's bits, which order magnitudes as integers do:
    exact, without a sort and without holding the tensors.
    """
    upper = [np.zeros(1 << 15, np.int64) for _ in ranks]
    for block in blocks():
        for counts, vector_N in zip(upper, block, strict=True):
            counts += np.bincount(_magnitude_bits(vector_N) >> np.uint32(16), minlength=1 << 15)
    found = [[_find(counts, rank) for rank in wanted] for counts, wanted in zip(upper, ranks, strict=True)]
    lower = [{high: np.zeros(1 << 16, np.int64) for high, _ in places} for places in found]
    for block in blocks():
        for bins, vector_N in zip(lower, block, strict=True):
            bits = _magnitude_bits(vector_N)
            for high, counts in bins.items():
                inside = bits[bits >> np.uint32(16) == high]
                counts += np.bincount(inside & np.uint32(0xFFFF), minlength=1 << 16)
    out = []
    for wanted, places, bins in zip(ranks, found, lower, strict=True):
        pairs = zip(wanted, places, strict=True)
        whole = [high << 16 | _find(bins[high], rank - above)[0] for rank, (high, above) in pairs]
        out.append([float(value) for value in np.array(whole, np.uint32).view(np.float32)])
    return out


def _magnitude_bits(delta_N: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(delta_N, np.float32).view(np.uint32) & _MAGNITUDE


def _find(counts: np.ndarray, keep: int) -> tuple[int, int]:
    """The bin that holds the `keep`-th element counted from the top, and how many elements lie above that bin."""
    from_top = np.cumsum(counts[::-1])
    at = int(np.searchsorted(from_top, keep))
    return len(counts) - 1 - at, int(from_top[at - 1]) if at else 0


def band(delta_N: np.ndarray, low: float, high: float) -> np.ndarray:
    """Zero the elements whose magnitude is below `low` or above `high` (Model Breadcrumbs, arXiv:2312.06795)."""
    magnitude_N = np.abs(delta_N)
    return delta_N * ((magnitude_N >= np.float32(low)) & (magnitude_N <= np.float32(high)))


def band_ranks(size: int, density: float, gamma: float) -> tuple[int, int]:
    """The ranks by falling magnitude, 1 the largest, of the first and the last element that breadcrumbs keeps.

    The first `gamma`·size are dropped and the next `density`·size kept (rounded down, as in MergeKit); fewer are
    dropped at the top where too few would be left.
    """
    keep = max(1, int(density * size))
    top = min(int(gamma * size), size - keep)
    return top + 1, top + keep


def _steps(probability: np.ndarray | float) -> np.ndarray:
    """Keep probabilities as numbers of draws out of STEPS, at least one."""
    return np.maximum(1, np.rint(np.asarray(probability) * STEPS)).astype(np.uint32)


def dare(delta_N: np.ndarray, density: float, draws_N: Callable[[], np.ndarray], *, rescale: bool = True) -> np.ndarray:
    """Keep each element with probability `density` and divide it by that (DARE, arXiv:2311.03099): unbiased.

    The probability is rounded to a multiple of 1/65536 and the rounded one divides, so the mean is exact. Without
    `rescale` the kept elements stay as they are.
    """
    if density >= 1:
        return delta_N
    steps = int(_steps(density))
    kept = delta_N * (draws_N() < steps)
    if rescale:
        kept *= np.float32(STEPS / steps)
    return kept


@functools.lru_cache(maxsize=16)
def keep_steps(columns: int, density: float, epsilon: float) -> np.ndarray:
    """MAGPRUNE's keep probability, in 1/65536, of ranks 0 (least magnitude) … C-1: linear from d - ε to d + ε."""
    ramp = np.linspace(density - epsilon, density + epsilon, columns) if columns > 1 else np.array([density])
    return _steps(np.clip(ramp, 0, 1))


def magprune(
    delta_N: np.ndarray,
    density: float,
    epsilon: float,
    draws_N: Callable[[], np.ndarray],
    columns: int,
    *,
    rescale: bool = True,
) -> np.ndarray:
    """Drop small elements more often (DELLA's MAGPRUNE, arXiv:2406.11617, section 3): unbiased.

    Within each row of `columns` elements the one with the r-th least magnitude (equal magnitudes by column) is kept
    with probability d - ε + 2ε·r/(C-1) and divided by it. (MergeKit instead rescales the tensor to its old L1 norm,
    which over-weights the large elements: `Settings.norm_rescale`.) `epsilon` is MergeKit's: half the paper's.
    Without `rescale` the kept elements stay as they are.
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
    factor_RC = draws_N().take(order_RC) < steps_C
    if rescale:
        factor_RC = factor_RC * (np.float32(STEPS) / steps_C.astype(np.float32))
    factor_N = np.empty(delta_N.size, np.float32)
    factor_N[order_RC] = factor_RC
    factor_N *= delta_N
    return factor_N
