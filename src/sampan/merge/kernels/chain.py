"""A block through the compiled loops: read into buffers that each thread keeps, drop, mix, round."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...model.tensors import FlatTensor
from ..draws import STEPS, stream_key
from ..method import Block, Settings
from ..mix import divisor
from ..sparsify import keep_steps
from ..tally import Tally
from . import compiled

_DROPS = {"keep": compiled.KEEP, "dare": compiled.DARE, "trim": compiled.TRIM}
_MIXES = {"sum": compiled.SUM, "elect": compiled.ELECT}
_MOST_COLUMN_BITS = 20
"""Rows of more columns leave too few bits of a magnitude in a 32-bit sorting key; they are sorted by 64 bits."""


class Buffers(threading.local):
    """Arrays that one thread uses again for every block."""

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = self._kept[name] = np.empty(size, dtype)
        return kept[:size].reshape(shape)


_buffers = Buffers()


def run_chain(
    fused: str,
    scales: bool,
    base: FlatTensor | None,
    models: Sequence[FlatTensor],
    settings: Settings,
    block: Block,
    stop: int,
) -> tuple[np.ndarray, Tally]:
    """The merged elements block.start … stop - 1 as bfloat16 bits, and their tally; `scales` says whether the method
    reads λ."""
    size, count = stop - block.start, len(models)
    base_raw_N = _buffers.get("base_raw", (size if base else 0,), np.uint16)
    models_raw_MN = _buffers.get("models_raw", (count, size), np.uint16)
    if base:
        base.raw(block.start, base_raw_N)
    for raw_N, model in zip(models_raw_MN, models, strict=True):
        model.raw(block.start, raw_N)
    drop, _, how = fused.partition("+")
    sums = (np.zeros(count, np.int64), np.zeros((count, count)), np.zeros(2))
    out_N = np.empty(size, np.uint16)
    if drop == "magprune":
        _by_row(base_raw_N, models_raw_MN, how, _mixing(settings, scales), settings, block, sums, out_N)
    else:
        limits = _limits(drop, settings, block.seed, block.tensor, block.thresholds)
        chosen = (_DROPS[drop], limits, _MIXES[how], _mixing(settings, scales))
        compiled.by_element(base_raw_N, models_raw_MN, *chosen, block.start, sums, out_N)
    kept_M, gram_MM, squares_2 = sums
    if how == "sum":
        kept_M[[drop == "keep" or density >= 1 for density in settings.density]] = size
    gram_MM += np.tril(gram_MM, -1).T
    return out_N, Tally(size, float(squares_2[0]), float(squares_2[1]), gram_MM, kept_M)


def _by_row(
    base_raw_N: np.ndarray,
    models_raw_MN: np.ndarray,
    how: str,
    mixing: tuple,
    settings: Settings,
    block: Block,
    sums: tuple[np.ndarray, ...],
    out_N: np.ndarray,
) -> None:
    """The chain of DELLA's methods, which rank whole rows."""
    kept_M, gram_MM, squares_2 = sums
    size = out_N.size
    base_N = _buffers.get("base", base_raw_N.shape, np.float32)
    deltas_MN = _buffers.get("deltas", models_raw_MN.shape, np.float32)
    mixed_N, spare_N = (_buffers.get(name, (size,), np.float32) for name in ("mixed", "spare"))
    compiled.widen(base_raw_N, base_N)
    for raw_N, delta_N in zip(models_raw_MN, deltas_MN, strict=True):
        compiled.difference(raw_N, base_N, delta_N)
    total_N, work_MN = _prune(deltas_MN, mixing[0], settings, block, kept_M if how == "sum" else None)
    compiled.mix(total_N, work_MN, _MIXES[how], mixing, base_N, mixed_N, spare_N, kept_M, out_N)
    compiled.add_products(deltas_MN, size, base_N, mixed_N, gram_MM, squares_2)


@functools.lru_cache(maxsize=8)
def _mixing(settings: Settings, scales: bool) -> tuple[np.ndarray, bool, np.float32, np.float32]:
    """Weights, whether to normalize, by what to divide then, and λ."""
    weights_M = np.array(settings.weights, np.float32)
    scale = np.float32(settings.lambda_ if scales else 1)
    return weights_M, settings.normalize, np.float32(divisor(settings.weights)), scale


@functools.lru_cache(maxsize=8)
def _limits(
    drop: str, settings: Settings, seed: int, tensor: str, thresholds: tuple[float, ...]
) -> tuple[np.ndarray, ...]:
    """Per model the key of its draws, how many draws of STEPS keep, what the kept are multiplied by, the threshold."""
    count = len(settings.density)
    keys = [stream_key(seed, tensor, model) if drop == "dare" else 0 for model in range(count)]
    steps = [STEPS if density >= 1 else max(1, round(density * STEPS)) for density in settings.density]
    scales = [STEPS / step for step in steps]
    least = thresholds if drop == "trim" else [0.0] * count
    return (
        np.array(keys, np.uint64),
        np.array(steps, np.uint32),
        np.array(scales, np.float32),
        np.array(least, np.float32),
    )


def _prune(
    deltas_MN: np.ndarray, weights_M: np.ndarray, settings: Settings, block: Block, kept_M: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """DELLA's drop of every task vector: the sum of what is left, weighted, and each one's part of it."""
    work_MN = _buffers.get("work", deltas_MN.shape, np.float32)
    total_N = _buffers.get("total", deltas_MN.shape[1:], np.float32)
    columns = block.columns
    for model, (delta_N, density) in enumerate(zip(deltas_MN, settings.density, strict=True)):
        ends = (weights_M[model], model == 0, total_N, work_MN[model])
        if density >= 1:
            compiled.keep_all(delta_N, *ends)
            continue
        steps_C = keep_steps(columns, density, settings.epsilon)
        factors_C = np.float32(STEPS) / steps_C.astype(np.float32)
        order_N = _order(delta_N, columns)
        key = np.uint64(stream_key(block.seed, block.tensor, model))
        count = compiled.prune_by_rank(delta_N, order_N, columns, key, block.start, steps_C, factors_C, *ends)
        if kept_M is not None:
            kept_M[model] = count
    return total_N, work_MN


def _order(delta_N: np.ndarray, columns: int) -> np.ndarray:
    """Each row's columns by rising magnitude, equal ones by column, as uint32."""
    bits = max(1, (columns - 1).bit_length())
    keys_N = _buffers.get("keys", delta_N.shape, np.uint32)
    if bits > _MOST_COLUMN_BITS:
        magnitude_N = delta_N.view(np.uint32) & np.uint32(0x7FFFFFFF)
        keys_N[:] = np.argsort(magnitude_N.reshape(-1, columns), axis=1, kind="stable").ravel()
        return keys_N
    compiled.rank_keys(delta_N, columns, bits, keys_N)
    keys_N.reshape(-1, columns).sort(axis=1)
    compiled.settle(delta_N, columns, bits, keys_N)
    return keys_N
