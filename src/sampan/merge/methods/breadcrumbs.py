"""Model Breadcrumbs: drop the smallest and the very largest elements, add."""

from __future__ import annotations

import numpy as np

from ..drops import band_all, band_survey, count_kept
from ..method import Block, Method, Mixed, Settings
from ..mix import linear_mix

REVISION = 1


def breadcrumbs(deltas_MN: np.ndarray, settings: Settings, block: Block) -> Mixed:
    """θ - θ₀ = λ·Σ_t w_t·m_t⊙τ_t, divided by Σ_t w_t if `normalize` (Davari & Belilovsky, arXiv:2312.06795, section 3).

    m_t drops the `gamma` share of largest magnitudes of the tensor and then keeps the `density` share next to them.
    Symmetric in the models; at density 1 nothing is dropped, not even outliers (as in MergeKit), and it is task
    arithmetic. Equal magnitudes at a limit are all kept, where MergeKit keeps some of them.
    """
    kept = band_all(deltas_MN, settings, block)
    mixed_N = linear_mix(kept, settings.weights, normalize=settings.normalize, lambda_=settings.lambda_)
    return Mixed(mixed_N, count_kept(kept, settings))


METHOD = Method(
    run=breadcrumbs,
    revision=REVISION,
    normalize=False,
    knobs=frozenset({"density", "gamma", "lambda_"}),
    survey=band_survey,
    paper="arXiv:2312.06795",
)
