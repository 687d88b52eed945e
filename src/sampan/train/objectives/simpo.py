"""Simple preference optimisation: length-averaged log-probabilities with a target margin, and no reference model."""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from .pairs import Pairs, ranking_metrics

REVISION = 1
PAPER = "Meng, Xia, Chen 2024 (arXiv:2405.14734), eq. 6."


def simpo(pairs: Pairs, *, beta: float, gamma: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """-log σ(β (mean log p of chosen - mean log p of rejected) - γ), summed over pairs.

    γ itself, as LLaMA-Factory's `simpo_gamma`; the paper's tables give γ/β.
    """
    chosen_B = beta * pairs.chosen_B / pairs.chosen_tokens_B
    rejected_B = beta * pairs.rejected_B / pairs.rejected_tokens_B
    loss_B = -logsigmoid(chosen_B - rejected_B - gamma)
    return loss_B.sum(), ranking_metrics(chosen_B, rejected_B)
