"""Identity preference optimisation: a margin to reach, not to widen for ever."""

from __future__ import annotations

import torch

from .pairs import Pairs, mean_log_ratios, ranking_metrics

REVISION = 1
PAPER = "Azar et al. 2023 (arXiv:2310.12036), eq. 17, with log-ratios per token as its authors say they used."


def ipo(pairs: Pairs, reference: Pairs, *, beta: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """(Δ - 1/(2β))², summed over pairs; Δ is the chosen minus the rejected log-ratio, each a mean over the answer's
    tokens, β the paper's τ."""
    chosen_B, rejected_B = mean_log_ratios(pairs, reference)
    loss_B = (chosen_B - rejected_B - 1 / (2 * beta)).square()
    return loss_B.sum(), ranking_metrics(beta * chosen_B, beta * rejected_B)
