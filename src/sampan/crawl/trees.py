"""Gradient-boosted oblivious trees: every node of a level asks the same question, so that a tree is a row of questions
and a table of answers (as in CatBoost, arXiv:1706.09516), and a whole forest is a handful of array operations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_DEEPEST = 8
"""Questions of a tree: its leaf has a number of one byte."""
Sums = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Forest:
    """T trees of depth D (at most _DEEPEST) over the features named in `names`."""

    names: tuple[str, ...]
    features_TD: np.ndarray
    thresholds_TD: np.ndarray
    leaves_TL: np.ndarray
    bias: float

    def __post_init__(self) -> None:
        """Questions that several trees ask are asked once."""
        trees, depth = self.features_TD.shape
        asked = np.stack([self.features_TD.T.ravel(), self.thresholds_TD.T.ravel()])
        questions, which = np.unique(asked, axis=1, return_inverse=True)
        object.__setattr__(self, "_features", questions[0].astype(np.int64))
        object.__setattr__(self, "_thresholds", questions[1].astype(self.thresholds_TD.dtype)[:, None])
        object.__setattr__(self, "_which", which.reshape(depth, trees))
        levels = np.full((_DEEPEST, trees), len(questions[0]), np.int64)
        levels[:depth] = self._which
        object.__setattr__(self, "_levels", levels)
        object.__setattr__(self, "_offsets", (np.arange(trees) << depth)[:, None])

    def scores(self, values_FB: np.ndarray, sums: Sums | None = None) -> np.ndarray:
        """Log odds of each column. [B] `sums` may add up the trees' answers, faster than numpy but in its order."""
        if sums is not None and values_FB.shape[1] > 1:  # of one column numpy adds pairs
            found = sums(values_FB, self._features, self._thresholds[:, 0], self._levels, self.leaves_TL)
            return found + self.bias
        depth = self.features_TD.shape[1]
        above_QB = (values_FB[self._features] > self._thresholds).view(np.uint8)
        leaf_TB = above_QB[self._which[-1]]
        for level in range(depth - 2, -1, -1):
            leaf_TB <<= 1
            leaf_TB |= above_QB[self._which[level]]
        return self.leaves_TL.ravel()[self._offsets + leaf_TB].sum(0) + self.bias

    def chances(self, values_FB: np.ndarray, sums: Sums | None = None) -> np.ndarray:
        """Probabilities of each column. [B]"""
        return chances_of(self.scores(values_FB, sums))


def chances_of(scores_B: np.ndarray) -> np.ndarray:
    """Probabilities for log odds. [B]"""
    return (1 / (1 + np.exp(-scores_B))).astype(np.float32)


def save_forest(path: Path, forest: Forest, facts: dict) -> None:
    """Write a forest as arrays (.npz) and what is known of it as JSON beside it."""
    with open(path.with_suffix(".npz"), "wb") as file:
        np.savez_compressed(
            file,
            features=forest.features_TD.astype(np.uint16),
            thresholds=forest.thresholds_TD.astype(np.float32),
            leaves=forest.leaves_TL.astype(np.float32),
        )
    said = {**facts, "bias": forest.bias, "features": list(forest.names)}
    path.with_suffix(".json").write_text(json.dumps(said, indent=1) + "\n", "utf-8")


def load_forest(path: Path) -> tuple[Forest, dict]:
    """What `save_forest` wrote."""
    facts = json.loads(path.with_suffix(".json").read_text("utf-8"))
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        features = arrays["features"].astype(np.int64)
        forest = Forest(tuple(facts["features"]), features, arrays["thresholds"], arrays["leaves"], facts["bias"])
    return forest, facts
