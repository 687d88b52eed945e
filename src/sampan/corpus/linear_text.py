"""Logistic regression on hashed n-grams of counting units: the features, the fit and the trained scorer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..lang.codes import known_language
from ..lang.profile import load_profile
from ..lang.units import ngram_hashes
from .ngram_lm import text_units
from .sampling import id_hash
from .scorers import SCORER

METHOD = "linear_quality"
WEIGHTS = "weights.npy"
_BATCH = 512
_TINY = 1e-8


def text_features(text: str, language: str, *, ngram: int, bits: int, per_language: bool, max_units: int) -> np.ndarray:
    """Places [F] (uint32, below 2**bits) of a text's weights: the language's bias first, then each n-gram, once."""
    code = np.uint64(id_hash(language))
    hashes = text_units(text, load_profile(language).spaced)[1 : max_units + 1]
    grams = np.unique(np.concatenate([ngram_hashes(hashes, n) for n in range(1, ngram + 1)]))
    if per_language:
        grams = grams ^ code
    return (np.concatenate((np.array([code]), grams)) >> np.uint64(64 - bits)).astype(np.uint32)


def fit(features: np.ndarray, sizes: np.ndarray, labels: np.ndarray, importance: np.ndarray, params: Any) -> np.ndarray:
    """Weights [2**hash_bits] (float32) by AdaGrad on batches of documents in a seeded order.

    `features` [F] are those of D documents end to end, `sizes` [D] how many each has; `labels` [D] are 1 and 0.
    """
    weights = np.zeros(1 << params.hash_bits)
    squares = np.full(len(weights), _TINY)
    ends = np.cumsum(sizes)
    chance = np.random.Generator(np.random.PCG64(params.seed))
    for _ in range(params.epochs):
        order = chance.permutation(len(sizes))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            places = np.concatenate([features[ends[number] - sizes[number] : ends[number]] for number in batch])
            scale = 1 / np.sqrt(sizes[batch])
            error = (_sigmoid(_sums(weights, places, sizes[batch]) * scale) - labels[batch]) * importance[batch]
            gradient = np.bincount(places, np.repeat(error * scale / len(batch), sizes[batch]), len(weights))
            squares += gradient * gradient
            weights -= params.lr * (gradient / np.sqrt(squares) + params.l2 * weights)
    return weights.astype(np.float32)


def logits(weights: np.ndarray, features: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Log-odds of being good [D]; more words say it with more certainty."""
    return _sums(weights, features, sizes) / np.sqrt(sizes)


def _sums(weights: np.ndarray, features: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Sum of the weights of each document's features, of which it has at least one."""
    return np.add.reduceat(weights[features], np.cumsum(sizes) - sizes, dtype=np.float64)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -60, 60)))


class LinearQuality:
    """A trained scorer: higher is better, namely the log-odds of being good."""

    method = METHOD

    def __init__(self, folder: Path) -> None:
        row = json.loads((folder / SCORER).read_text(encoding="utf-8"))
        self._languages, self._features = frozenset(row["languages"]), row["features"]
        self._weights = np.load(folder / WEIGHTS, allow_pickle=False)
        if self._weights.shape != (1 << self._features["bits"],):
            raise ValueError(f"{WEIGHTS} does not fit {SCORER}")

    def score(self, text: str, language: str) -> float | None:
        """Log-odds; None for a language that was not trained on or a text without units."""
        if language not in self._languages:
            return None
        found = text_features(text, known_language(language), **self._features)
        return float(logits(self._weights, found, np.array([len(found)]))[0]) if len(found) > 1 else None
