"""What a way to fill new embedding rows is: what it is told about the new tokens, and the function that fills rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

_BLOCK = 4096

Side = Literal["input", "output", "tied"]
"""Which embedding a matrix is; `tied` is both at once."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The knobs of every method; each reads those it needs."""

    seed: int = 0
    max_tokens: int = 2_000_000
    """Tokens of documents that a method may read (focus) or learn from (distill)."""
    device: str = "cpu"
    """Where a method that runs the model (distill) runs it."""


@dataclass(frozen=True, kw_only=True)
class NewTokens:
    """What is known of the N tokens whose rows come after the V old ones."""

    base: Path
    """Folder of the model as it was."""
    first: int
    """V, the id of the first new row."""
    parts: Sequence[Sequence[int]]
    """For each new row the old ids that used to spell it; empty for reserved tokens."""
    places: Sequence[int] = ()
    """The old rows that the last of the new ones are written over."""
    texts: Sequence[str]
    """The text of every id, old and new, '' where it stands for none or for a part of a character."""
    documents: Sequence[str] = ()
    """Text in the new and the old languages, mixed."""
    encode: Callable[[Sequence[str]], list[list[int]]] | None = None
    """The grown tokenizer: ids of texts."""
    vectors: Path | None = None
    """Vectors from outside, for `auxiliary` and `focus`."""
    progress: Callable[[int, int], None] = lambda done, total: None

    @property
    def size(self) -> int:
        """Old and new tokens in all, an old row and the one written over it as two."""
        return self.first + len(self.parts)

    @property
    def rows(self) -> int:
        """Rows in all."""
        return self.size - len(self.places)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One matrix to be continued, and the randomness that is its own."""

    old_VD: np.ndarray
    """float32; not to be changed."""
    side: Side
    new: NewTokens
    seed: Sequence[int]

    def draw(self) -> np.random.Generator:
        """A fresh generator: the same stream for the same seed and matrix."""
        return np.random.default_rng(list(self.seed))


@dataclass(frozen=True, kw_only=True)
class Init:
    """A registered way to fill new rows."""

    rows: Callable[[Table, Any], np.ndarray]
    """`rows(table, prepared)`: new rows [N, D] in float32."""
    prepare: Callable[[NewTokens, Settings], Any] = lambda new, settings: None
    """Called once before the matrices are read; its result goes to every call of `rows`."""
    revision: int
    paper: str


def subword_mean(table: Table, weights: Callable[[int], np.ndarray] | None = None) -> np.ndarray:
    """[N, D]: the weighted mean of the old rows that spelled each token, of all old rows where none did.

    `weights(n)` gives the n weights of a token of n parts, which sum to 1; equal ones without it.
    """
    old_VD, parts = table.old_VD, table.new.parts
    rows_ND = np.empty((len(parts), old_VD.shape[1]), np.float32)
    centre_D = moments(old_VD)[0]
    for number, ids in enumerate(parts):
        if not ids:
            rows_ND[number] = centre_D
        elif weights is None:
            rows_ND[number] = old_VD[list(ids)].mean(0)
        else:
            rows_ND[number] = weights(len(ids)) @ old_VD[list(ids)]
    return rows_ND


def moments(old_VD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column, float32 [D] from float64 sums, without a second matrix in memory."""
    centre_D = old_VD.mean(0, dtype=np.float64)
    squares_D = np.zeros_like(centre_D)
    for start in range(0, len(old_VD), _BLOCK):
        squares_D += np.square(old_VD[start : start + _BLOCK] - centre_D).sum(0)
    return centre_D.astype(np.float32), np.sqrt(squares_D / len(old_VD)).astype(np.float32)
