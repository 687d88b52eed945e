"""Means on a sphere from inner products alone: every mean of M vectors here is a combination of them.

So the Gram matrix of the vectors (M × M, float64, gathered in one pass) decides the M coefficients, and the vectors
themselves are only read once more to be added up. Shapes: M models; G is gram_MM.
"""

from __future__ import annotations

import numpy as np

PARALLEL = 0.9995
"""|cos| above which two vectors count as parallel for slerp and are mixed linearly (MergeKit's threshold)."""
_ITERATIONS, _CLOSE = 200, 1e-14


def cosines(gram_MM: np.ndarray) -> np.ndarray:
    """Cosines of all pairs; 0 where a vector is zero."""
    norms_M = np.sqrt(np.maximum(gram_MM.diagonal(), 0))
    products_MM = np.outer(norms_M, norms_M)
    cosines_MM = np.divide(gram_MM, products_MM, out=np.zeros_like(gram_MM), where=products_MM > 0)
    return np.clip(cosines_MM, -1, 1)


def slerp_pair(cosine: float, t: float, parallel: bool) -> np.ndarray:
    """Coefficients of two vectors on the arc between their directions (Shoemake 1985, section 3.3); linear if
    `parallel`.
    """
    if parallel:
        return np.array([1 - t, t])
    theta = np.arccos(cosine)
    return np.sin([(1 - t) * theta, t * theta]) / np.sin(theta)


def mean_direction(cosines_MM: np.ndarray, weights_M: np.ndarray) -> np.ndarray:
    """Coefficients of unit vectors whose combination is their weighted Karcher (Fréchet) mean on the sphere.

    Minimises Σ w_t·angle(x, u_t)²; found by stepping along the mean of the log maps until the step vanishes (Karcher
    1977; arXiv:2603.04972). Weights sum to 1. Two vectors have the closed form, slerp.
    """
    if len(weights_M) == 2:
        cosine = float(cosines_MM[0, 1])
        return slerp_pair(cosine, float(weights_M[1]), 1 - cosine * cosine <= 1e-16)
    mean_M = weights_M.astype(np.float64)
    length = _length(cosines_MM, mean_M)
    mean_M = mean_M / length if length > 1e-9 else np.eye(len(weights_M))[0]
    for _ in range(_ITERATIONS):
        dots_M = np.clip(cosines_MM @ mean_M, -1, 1)
        angles_M = np.arccos(dots_M)
        sines_M = np.sin(angles_M)
        pull_M = weights_M * np.divide(angles_M, sines_M, out=np.ones_like(sines_M), where=sines_M > 1e-9)
        step_M = pull_M - (pull_M @ dots_M) * mean_M
        length = _length(cosines_MM, step_M)
        if length < _CLOSE:
            break
        mean_M = np.cos(length) * mean_M + np.sin(length) / length * step_M
        mean_M /= _length(cosines_MM, mean_M) or 1.0
    return mean_M


def _length(cosines_MM: np.ndarray, coefficients_M: np.ndarray) -> float:
    return float(np.sqrt(max(coefficients_M @ cosines_MM @ coefficients_M, 0.0)))


def combine(vectors_MN: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Σ_t c_t·v_t in float32; `coefficients` is float64 [M], or [R, M] for R rows of equal length."""
    factors = np.asarray(coefficients, np.float32)
    if factors.ndim == 1:
        factors = factors[None]
    rows = len(factors)
    total_RC = vectors_MN[0].reshape(rows, -1) * factors[:, :1]
    for t in range(1, len(vectors_MN)):
        total_RC += vectors_MN[t].reshape(rows, -1) * factors[:, t : t + 1]
    return total_RC.ravel()
