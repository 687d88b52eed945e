"""Direct preference optimisation."""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from .pairs import Pairs, ranking_metrics

REVISION = 1
PAPER = "Rafailov et al. 2023 (arXiv:2305.18290), eq. 7; label smoothing: Mitchell 2023, cDPO."


def dpo(
    pairs: Pairs, reference: Pairs, *, beta: float, label_smoothing: float = 0.0
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """-(1-ε) log σ(β Δ) - ε log σ(-β Δ), summed over pairs; Δ is the chosen minus the rejected log-ratio of the model
    to the reference, ε = `label_smoothing` the share of labels taken to be wrong."""
    chosen_B = beta * (pairs.chosen_B - reference.chosen_B)
    rejected_B = beta * (pairs.rejected_B - reference.rejected_B)
    margin_B = chosen_B - rejected_B
    loss_B = -(1 - label_smoothing) * logsigmoid(margin_B) - label_smoothing * logsigmoid(-margin_B)
    return loss_B.sum(), ranking_metrics(chosen_B, rejected_B)
