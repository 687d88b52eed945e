"""Direct preference optimisation with every answer's log-ratio divided by its length."""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from .pairs import Pairs, mean_log_ratios, ranking_metrics

REVISION = 1
PAPER = "Tülu 3, Lambert et al. 2024 (arXiv:2411.15124), §5."


def dpo_norm(pairs: Pairs, reference: Pairs, *, beta: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """-log σ(β Δ), summed over pairs; Δ is the chosen minus the rejected log-ratio, each a mean over the answer's
    tokens, so that long answers do not weigh more."""
    chosen_B, rejected_B = (beta * ratio_B for ratio_B in mean_log_ratios(pairs, reference))
    return -logsigmoid(chosen_B - rejected_B).sum(), ranking_metrics(chosen_B, rejected_B)
