"""Thinning all task vectors of a block: trims, bands, and random drops with the draws of each model's own number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .draws import draws, stream_key
from .method import Block, Grains, Settings
from .sparsify import band, band_ranks, dare, kth_magnitudes, magprune, trim

_NOTHING = 1e-7


def trim_all(deltas_MN: np.ndarray, settings: Settings, block: Block) -> list[np.ndarray]:
    """Every task vector without its elements below `block.thresholds`."""
    return [
        delta_N if density >= 1 else trim(delta_N, block.thresholds[t])
        for t, (delta_N, density) in enumerate(zip(deltas_MN, settings.density, strict=True))
    ]


def band_all(deltas_MN: np.ndarray, settings: Settings, block: Block) -> list[np.ndarray]:
    """Every task vector within the magnitudes that `band_survey` found."""
    return [
        delta_N if density >= 1 else band(delta_N, *limits)
        for delta_N, density, limits in zip(deltas_MN, settings.density, block.survey, strict=True)
    ]


def band_survey(grains: Grains, settings: Settings, size: int) -> tuple[tuple[float, float], ...]:
    """Per model the least and greatest magnitude that breadcrumbs keeps of the tensor; equal ones are all kept."""
    knobs = list(zip(settings.density, settings.gamma, strict=True))
    thinned = [model for model, (density, _) in enumerate(knobs) if density < 1]
    limits = [(0.0, float("inf"))] * len(knobs)
    if thinned:
        ranks = [band_ranks(size, *knobs[model]) for model in thinned]
        found = kth_magnitudes(lambda: (deltas_MN[thinned] for _, deltas_MN in grains()), ranks)
        for model, (high, low) in zip(thinned, found, strict=True):
            limits[model] = low, high
    return tuple(limits)


def dare_all(deltas_MN: np.ndarray, settings: Settings, block: Block) -> list[np.ndarray]:
    """Every task vector after DARE with its density."""
    plain = settings.norm_rescale
    dropped = [
        dare(delta_N, settings.density[t], _draws_of(block, t, delta_N.size), rescale=not plain)
        for t, delta_N in enumerate(deltas_MN)
    ]
    return _to_norm(dropped, settings, block) if plain else dropped


def magprune_all(deltas_MN: np.ndarray, settings: Settings, block: Block) -> list[np.ndarray]:
    """Every task vector after DELLA's MAGPRUNE with its density; the block must be whole rows."""
    plain, epsilon = settings.norm_rescale, settings.epsilon
    dropped = [
        magprune(
            delta_N, settings.density[t], epsilon, _draws_of(block, t, delta_N.size), block.columns, rescale=not plain
        )
        for t, delta_N in enumerate(deltas_MN)
    ]
    return _to_norm(dropped, settings, block) if plain else dropped


def _draws_of(block: Block, model: int, count: int) -> Callable[[], np.ndarray]:
    return lambda: draws(stream_key(block.seed, block.tensor, model), block.start, count)


def _to_norm(dropped: list[np.ndarray], settings: Settings, block: Block) -> list[np.ndarray]:
    """MergeKit's rescale: by the ratio of the tensor's L1 norms before and after the drop, if the survey is done."""
    if block.survey is None:
        return dropped
    pairs = zip(dropped, settings.density, block.survey, strict=True)
    return [v_N if density >= 1 else v_N * np.float32(factor) for v_N, density, factor in pairs]


def dare_survey(grains: Grains, settings: Settings, size: int) -> tuple[float, ...] | None:
    """Per model what MergeKit's rescale multiplies by after DARE; None where that is not wanted."""
    return _norm_ratios(grains, settings, dare_all)


def magprune_survey(grains: Grains, settings: Settings, size: int) -> tuple[float, ...] | None:
    """Per model what MergeKit's rescale multiplies by after MAGPRUNE; None where that is not wanted."""
    return _norm_ratios(grains, settings, magprune_all)


def _norm_ratios(grains: Grains, settings: Settings, drop: Callable[..., list[np.ndarray]]) -> tuple[float, ...] | None:
    if not settings.norm_rescale or all(density >= 1 for density in settings.density):
        return None
    before_M, after_M = np.zeros(len(settings.density)), np.zeros(len(settings.density))
    for block, deltas_MN in grains():
        before_M += [_l1(delta_N) for delta_N in deltas_MN]
        after_M += [_l1(kept_N) for kept_N in drop(deltas_MN, settings, block)]
    pairs = zip(before_M, after_M, strict=True)
    return tuple(a / b if a >= _NOTHING and b >= _NOTHING else 1.0 for a, b in pairs)


def _l1(vector_N: np.ndarray) -> float:
    return float(np.abs(vector_N).sum(dtype=np.float64))


def count_kept(vectors: list[np.ndarray], settings: Settings) -> tuple[int, ...]:
    """Per model how many elements are left; all of them where nothing was dropped."""
    pairs = zip(vectors, settings.density, strict=True)
    return tuple(v_N.size if density >= 1 else int(np.count_nonzero(v_N)) for v_N, density in pairs)
