"""What preference objectives see of a batch of B pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Pairs:
    """Log-probabilities of whole answers, summed over their tokens [B], and their lengths in tokens [B]."""

    chosen_B: torch.Tensor
    rejected_B: torch.Tensor
    chosen_tokens_B: torch.Tensor
    rejected_tokens_B: torch.Tensor


def ranking_metrics(chosen_B: torch.Tensor, rejected_B: torch.Tensor) -> dict[str, torch.Tensor]:
    """Sums of the rewards, their margin, and how many pairs are ranked rightly."""
    chosen_B, rejected_B = chosen_B.detach(), rejected_B.detach()
    return {
        "reward_chosen": chosen_B.sum(),
        "reward_rejected": rejected_B.sum(),
        "margin": (chosen_B - rejected_B).sum(),
        "accuracy": (chosen_B > rejected_B).float().sum(),
    }
