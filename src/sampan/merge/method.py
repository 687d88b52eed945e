"""What a merge method is: one pure function on blocks of task vectors, and what the engine must know about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

GRAINS = ("element", "row")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The knobs of a merge of M models, all filled in."""

    weights: tuple[float, ...]
    """w_t, one per model."""
    density: tuple[float, ...]
    """Share of each task vector that is kept, one per model, in (0, 1]. At 1 nothing is dropped or drawn."""
    epsilon: float = 0.15
    """Half the spread of DELLA's keep probabilities."""
    lambda_: float = 1.0
    """Scale of the mixed task vector; for consensus_ta the threshold factor of its masks."""
    k: int = 2
    """How many models must claim an element (consensus_ta)."""
    normalize: bool = False
    """Divide by the sum of the (surviving) weights."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Where a block of N elements lies in its tensor, and what is known of the whole tensor."""

    tensor: str
    start: int
    """Flat index of the block's first element."""
    columns: int
    """Length of the tensor's rows (its last side; the whole length of a vector)."""
    seed: int = 0
    thresholds: tuple[float, ...] = ()
    """Per model the least magnitude kept by a trim of the whole tensor; empty for methods that do not trim."""


@dataclass(frozen=True)
class Mixed:
    """A block's merged task vector (what is added to the base)."""

    delta_N: np.ndarray
    kept_M: tuple[int, ...]
    """Per model the number of elements that entered the mix."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A registered merge method."""

    run: Callable[[np.ndarray, Settings, Block], Mixed]
    """`run(deltas_MN, settings, block)`: float32 in and out; does not change `deltas_MN`; no state, no clock, and
    randomness only from (seed, tensor, model, element)."""
    revision: int
    normalize: bool
    """MergeKit's default for `normalize`, used where a merge is not strict."""
    knobs: frozenset[str]
    """Which of density, epsilon, lambda_, k it reads; setting another is refused."""
    grain: str = "element"
    """What a block may be cut at: any `element`, or whole `row`s."""
    needs_base: bool = True
    """False if it mixes the models themselves rather than their differences from a base."""
    trims: bool = False
    """Whether it needs `Block.thresholds`."""
    fused: str = ""
    """The fused kernel that does the same (`kernels`), as DROP+MIX; '' for none."""
    paper: str = ""
