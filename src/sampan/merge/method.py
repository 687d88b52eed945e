"""What a merge method is: one pure function on blocks of task vectors, and what the engine must know about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

GRAINS = ("element", "row")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The knobs of a merge of M models, all filled in."""

    weights: tuple[float, ...]
    """w_t, one per model."""
    density: tuple[float, ...]
    """Share of each task vector that is kept, one per model, in (0, 1]. At 1 nothing is dropped or drawn."""
    gamma: tuple[float, ...] = ()
    """Share of each task vector's largest magnitudes that is dropped, one per model (breadcrumbs)."""
    epsilon: float = 0.15
    """Half the spread of DELLA's keep probabilities."""
    lambda_: float = 1.0
    """Scale of the mixed task vector; for consensus_* the threshold factor of their masks."""
    k: int = 2
    """How many models must claim an element (consensus_*)."""
    t: float = 0.5
    """How far slerp goes from the first model (0) to the second (1)."""
    normalize: bool = False
    """Divide by the sum of the (surviving) weights."""
    per_row: bool = False
    """Angles row by row instead of over the whole tensor (nuslerp, model_stock)."""
    norm_rescale: bool = False
    """Rescale what random drops leave to the L1 norm before, as MergeKit does, instead of by the keep probability."""


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
    survey: Any = None
    """What the method's survey found out about the whole tensor."""


@dataclass(frozen=True)
class Mixed:
    """A block's merged task vector (what is added to the base)."""

    delta_N: np.ndarray
    kept_M: tuple[int, ...]
    """Per model the number of elements that entered the mix."""


Grains = Callable[[], Iterator[tuple[Block, np.ndarray]]]
"""All of a tensor in order, as often as it is called: a block's place and its task vectors, `deltas_MN`."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A registered merge method."""

    run: Callable[[np.ndarray, Settings, Block], Mixed]
    """`run(deltas_MN, settings, block)`: float32 in and out; does not change `deltas_MN`; no state, no clock, and
    randomness only from (seed, tensor, model, element)."""
    revision: int
    normalize: bool | None
    """MergeKit's default for `normalize`, used where a merge is not strict; None if it has no meaning here."""
    knobs: frozenset[str]
    """Which of density, gamma, epsilon, lambda_, k, t, per_row, compat it reads; setting another is refused."""
    grain: str = "element"
    """What a block may be cut at: any `element`, or whole `row`s."""
    needs_base: bool = True
    """False if it mixes the models themselves rather than their differences from a base."""
    base_optional: bool = False
    """Whether a method that needs no base works on differences where one is given."""
    models: tuple[int, int | None] = (1, None)
    """The least and the greatest number of models (None: any)."""
    weighted: bool = True
    """Whether it reads weights; setting them is refused otherwise."""
    positive: bool = False
    """Whether weights below zero make no sense to it and are refused."""
    trims: bool = False
    """Whether it needs `Block.thresholds`."""
    survey: Callable[[Grains, Settings, int], Any] | None = None
    """`survey(grains, settings, size)`: what `run` must know of the whole tensor of `size` elements, handed to it as
    `Block.survey`. Grains do not depend on block size or threads, so sums over them do not either."""
    fused: str = ""
    """The fused kernel that does the same (`kernels`), as DROP+MIX; '' for none."""
    paper: str = ""
