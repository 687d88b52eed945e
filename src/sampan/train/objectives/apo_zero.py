"""Anchored preference optimisation for chosen answers better than the model's own."""

from __future__ import annotations

import torch

from .pairs import Pairs, log_ratios, ranking_metrics

REVISION = 1
PAPER = "D'Oosterlinck et al. 2024 (arXiv:2408.06266), eq. 7."


def apo_zero(pairs: Pairs, reference: Pairs, *, beta: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """1 - σ(β r_chosen) + σ(β r_rejected), summed over pairs; r are log-ratios to the reference. Chosen answers become
    likelier and rejected ones less likely."""
    chosen_B, rejected_B = (beta * ratio_B for ratio_B in log_ratios(pairs, reference))
    return (1 - chosen_B.sigmoid() + rejected_B.sigmoid()).sum(), ranking_metrics(chosen_B, rejected_B)
