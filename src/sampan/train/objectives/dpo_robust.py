"""Direct preference optimisation without bias from wrongly labelled pairs."""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from .pairs import Pairs, log_ratios, ranking_metrics

REVISION = 1
PAPER = "Chowdhury, Kini, Natarajan 2024 (arXiv:2403.00409)."


def dpo_robust(
    pairs: Pairs, reference: Pairs, *, beta: float, label_smoothing: float
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """(-(1-ε) log σ(β Δ) + ε log σ(-β Δ)) / (1 - 2ε), summed over pairs: with a share ε = `label_smoothing` of labels
    flipped at random, its mean is the loss on the right labels. Δ as in dpo."""
    chosen_B, rejected_B = (beta * ratio_B for ratio_B in log_ratios(pairs, reference))
    margin_B = chosen_B - rejected_B
    kept_B = -(1 - label_smoothing) * logsigmoid(margin_B)
    flipped_B = -label_smoothing * logsigmoid(-margin_B)
    return ((kept_B - flipped_B) / (1 - 2 * label_smoothing)).sum(), ranking_metrics(chosen_B, rejected_B)
