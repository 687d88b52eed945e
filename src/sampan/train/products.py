"""Products of float32 matrices on a CPU: by `kernels.products` where the machine and the sizes suit it, else by torch.

Both are exact to float32's rounding, and round differently. Which one a product takes depends on the machine, on
numba being installed and on its sizes alone, so that the same run on the same machine gives the same bits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from . import kernels

_LEAST = 192
"""Rows, columns and depth below which tiles save less of a step than starting them is worth (ours)."""
_LEAST_WORK = 1 << 24
"""Multiplications below which the difference is smaller than a call (ours)."""
_ROWS = 64
"""Rows that a thread takes at least."""
_PAGE = 4096
_own = threading.local()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def multiply(
    left_MK: torch.Tensor, right_KN: torch.Tensor, *, out: torch.Tensor | None = None, add: bool = False
) -> torch.Tensor:
    """left · right [M, N], written or added to `out`, without a gradient."""
    product = _suited(left_MK, right_KN, out)
    if product is None:
        return out.addmm_(left_MK, right_KN) if add else torch.mm(left_MK, right_KN, out=out)
    if out is None:
        out = left_MK.new_empty(left_MK.shape[0], right_KN.shape[1])
    _product(product, left_MK, right_KN, out, add)
    return out


def packs(weight: torch.Tensor) -> bool:
    """Whether large products with `weight` should be made by `kernels.products` on this machine."""
    return weight.dim() == 2 and min(weight.shape) >= _LEAST and _plain(weight) and kernels.expected()


def _plain(x: torch.Tensor) -> bool:
    return x.dtype == torch.float32 and x.device.type == "cpu"


def _suited(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None) -> Callable[..., int] | None:
    (m, k), n = left.shape, right.shape[1]
    if min(m, n, k) < _LEAST or m * n * k < _LEAST_WORK:
        return None
    if not all(_plain(x) and 1 in x.stride() for x in (left, right)):
        return None
    if out is not None and not (_plain(out) and out.stride(1) == 1):
        return None
    return kernels.load()


def _product(
    product: Callable[..., int], left: torch.Tensor, right: torch.Tensor, out: torch.Tensor, add: bool
) -> None:
    """Each of torch's threads takes some of the rows; no sum depends on how many there are."""
    (m, k), n, threads = left.shape, right.shape[1], torch.get_num_threads()
    share = -(-m // (threads * _ROWS)) * _ROWS

    def part(first: int) -> None:
        rows = left[first : first + share]
        sides = (*_lines(rows), *_lines(right.t()))
        place = out.data_ptr() + first * out.stride(0) * 4
        product(_scratch(), *sides, place, out.stride(0) * 4, len(rows), n, k, add)

    if share >= m:
        part(0)
    else:
        who = os.getpid(), threads  # a forked process has none of its parent's threads
        if who not in _pools:
            _pools[who] = ThreadPoolExecutor(threads)
        list(_pools[who].map(part, range(0, m, share)))


def _lines(matrix: torch.Tensor) -> tuple[int, int, bool]:
    """Where a matrix [lines, K] lies, the bytes from one of its lines to the next, and whether they lie along K."""
    deep = matrix.stride(1) == 1
    return matrix.data_ptr(), matrix.stride(0 if deep else 1) * 4, deep


def _scratch() -> int:
    """The address of this thread's scratch."""
    if not hasattr(_own, "scratch"):
        _own.scratch = np.zeros(kernels.SCRATCH + _PAGE, np.uint8)
    start = _own.scratch.ctypes.data
    return start + -start % _PAGE
