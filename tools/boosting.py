"""Training of the oblivious trees that `sampan.crawl.trees` reads: second-order boosting of the logistic loss over
binned features (as in XGBoost, arXiv:1603.02754, with one split per level), on soft labels with weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from sampan.crawl.trees import Forest


@dataclass(frozen=True)
class Settings:
    trees: int = 90
    depth: int = 5
    rate: float = 0.12
    penalty: float = 30.0
    """Added to the second derivatives of a leaf: leaves with little weight stay near zero."""
    columns: float = 0.35
    """Share of the features that a tree may ask about."""
    rows: float = 0.7
    """Share of the rows that a tree is grown on."""
    bins: int = 32
    seed: int = 0


def _bin(values_FN: np.ndarray, bins: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Bin numbers [F, N] and the edges of each feature, at its quantiles."""
    binned = np.zeros(values_FN.shape, np.uint8)
    edges = []
    for feature, row in enumerate(values_FN):
        known = np.unique(np.quantile(row, np.linspace(0, 1, bins + 1)[1:-1], method="nearest"))
        unique = np.unique(row)
        if len(unique) <= bins:
            known = (unique[1:] + unique[:-1]) / 2
        else:
            after = np.searchsorted(unique, known, side="right")
            known = (known + unique[np.minimum(after, len(unique) - 1)]) / 2
        known = np.unique(known.astype(np.float32))
        edges.append(known)
        binned[feature] = np.searchsorted(known, row, side="left")
    return binned, edges


@njit(cache=True)
def _best(binned_FN, cuts_F, columns, rows, key_R, sides_R2, leaves, bins, penalty):
    """The feature and the edge that part the rows best. `key_R` is the row's leaf times `bins`, `sides_R2` its slope
    and bend."""
    best, best_feature, best_cut = -np.inf, -1, 0
    for feature in columns:
        if cuts_F[feature] == 0:
            continue
        sums = np.zeros((leaves * bins, 2))
        binned_N = binned_FN[feature]
        for r in range(rows.size):
            k = key_R[r] + binned_N[rows[r]]
            sums[k, 0] += sides_R2[r, 0]
            sums[k, 1] += sides_R2[r, 1]
        gain = np.zeros(cuts_F[feature])
        for leaf in range(leaves):
            of_leaf = sums[leaf * bins : (leaf + 1) * bins]
            all_g, all_h, left_g, left_h = of_leaf[:, 0].sum(), of_leaf[:, 1].sum(), 0.0, 0.0
            for cut in range(gain.size):
                left_g += of_leaf[cut, 0]
                left_h += of_leaf[cut, 1]
                gain[cut] += left_g**2 / (left_h + penalty) + (all_g - left_g) ** 2 / (all_h - left_h + penalty)
        cut = gain.argmax()
        if gain[cut] > best + 1e-9:
            best, best_feature, best_cut = gain[cut], feature, cut
    return best_feature, best_cut


def _grow(binned_FN, cuts_F, slope_N, bend_N, rows, columns, settings) -> tuple[list[int], list[int]]:
    """The questions of one tree: features and edge numbers, one per level."""
    features, cuts = [], []
    key_R = np.zeros(len(rows), np.int64)
    sides_R2 = np.stack([slope_N[rows], bend_N[rows]], axis=1)
    for level in range(settings.depth):
        found = _best(binned_FN, cuts_F, columns, rows, key_R, sides_R2, 1 << level, settings.bins, settings.penalty)
        features.append(int(found[0]))
        cuts.append(int(found[1]))
        key_R += ((binned_FN[features[-1]][rows] > cuts[-1]).astype(np.int64) << level) * settings.bins
    return features, cuts


def train(
    values_FN: np.ndarray, target_N: np.ndarray, weight_N: np.ndarray, names: list[str], settings: Settings
) -> Forest:
    """A forest whose `chances` follow the targets (0 to 1)."""
    draw = np.random.default_rng(settings.seed)
    binned, edges = _bin(values_FN, settings.bins)
    cuts_F = np.array([len(edge) for edge in edges])
    weight_N = weight_N / weight_N.mean()
    mean = float(np.clip((target_N @ weight_N) / weight_N.sum(), 0.01, 0.99))
    bias = float(np.log(mean / (1 - mean)))
    score = np.full(len(target_N), bias)
    forest_features, forest_thresholds, forest_leaves = [], [], []
    for _ in range(settings.trees):
        chance = 1 / (1 + np.exp(-score))
        slope, bend = weight_N * (chance - target_N), weight_N * chance * (1 - chance)
        rows = np.flatnonzero((draw.random(len(target_N)) < settings.rows) & (weight_N > 0))
        columns = np.sort(draw.choice(len(values_FN), max(2, int(settings.columns * len(values_FN))), replace=False))
        features, cuts = _grow(binned, cuts_F, slope, bend, rows, columns, settings)
        leaf = sum(
            (binned[f] > cut).astype(np.int64) << level
            for level, (f, cut) in enumerate(zip(features, cuts, strict=True))
        )
        leaves = 1 << settings.depth
        g, h = np.bincount(leaf, slope, leaves), np.bincount(leaf, bend, leaves)
        answer = -settings.rate * g / (h + settings.penalty)
        score += answer[leaf]
        forest_features.append(features)
        forest_thresholds.append([edges[f][cut] for f, cut in zip(features, cuts, strict=True)])
        forest_leaves.append(answer)
    return Forest(
        tuple(names),
        np.asarray(forest_features),
        np.asarray(forest_thresholds, np.float32),
        np.asarray(forest_leaves, np.float32),
        bias,
    )
