"""Anchored preference optimisation for a model that is better than both answers."""

from __future__ import annotations

import torch

from .pairs import Pairs, log_ratios, ranking_metrics

REVISION = 1
PAPER = "D'Oosterlinck et al. 2024 (arXiv:2408.06266), eq. 8."


def apo_down(pairs: Pairs, reference: Pairs, *, beta: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """σ(β r_chosen) + 1 - σ(β (r_chosen - r_rejected)), summed over pairs; r are log-ratios to the reference. Both
    answers become less likely, rejected ones more so."""
    chosen_B, rejected_B = (beta * ratio_B for ratio_B in log_ratios(pairs, reference))
    return (chosen_B.sigmoid() + 1 - (chosen_B - rejected_B).sigmoid()).sum(), ranking_metrics(chosen_B, rejected_B)
