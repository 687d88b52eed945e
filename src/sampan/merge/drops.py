"""Random drops of all task vectors of a block, each with the draws of its own model number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .draws import draws, stream_key
from .method import Block, Settings
from .sparsify import dare, magprune


def dare_all(deltas_MN: np.ndarray, settings: Settings, block: Block) -> list[np.ndarray]:
    """Every task vector after DARE with its density."""
    return [
        dare(delta_N, settings.density[t], _draws_of(block, t, delta_N.size)) for t, delta_N in enumerate(deltas_MN)
    ]


def magprune_all(deltas_MN: np.ndarray, settings: Settings, block: Block) -> list[np.ndarray]:
    """Every task vector after DELLA's MAGPRUNE with its density; the block must be whole rows."""
    return [
        magprune(delta_N, settings.density[t], settings.epsilon, _draws_of(block, t, delta_N.size), block.columns)
        for t, delta_N in enumerate(deltas_MN)
    ]


def _draws_of(block: Block, model: int, count: int) -> Callable[[], np.ndarray]:
    return lambda: draws(stream_key(block.seed, block.tensor, model), block.start, count)


def count_kept(vectors: list[np.ndarray], settings: Settings) -> tuple[int, ...]:
    """Per model how many elements are left; all of them where nothing was dropped."""
    pairs = zip(vectors, settings.density, strict=True)
    return tuple(v_N.size if density >= 1 else int(np.count_nonzero(v_N)) for v_N, density in pairs)
