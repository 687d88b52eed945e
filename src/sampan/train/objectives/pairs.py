"""What preference objectives see of a batch: B pairs of answers, or B answers that were judged one by one."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch


@dataclass(frozen=True)
class Pairs:
    """Log-probabilities of whole answers, summed over their tokens [B], and their lengths in tokens [B]."""

    chosen_B: torch.Tensor
    rejected_B: torch.Tensor
    chosen_tokens_B: torch.Tensor
    rejected_tokens_B: torch.Tensor

    def at(self, places: list[int]) -> Pairs:
        """These pairs alone."""
        return Pairs(*(getattr(self, each.name)[places] for each in fields(self)))


@dataclass(frozen=True)
class Answers:
    """Log-probabilities of whole answers, summed over their tokens [B], and whether each is a desirable one [B]."""

    logprobs_B: torch.Tensor
    desirable_B: torch.Tensor


def log_ratios(pairs: Pairs, reference: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """log π/π_ref of the chosen and of the rejected answers [B]."""
    return pairs.chosen_B - reference.chosen_B, pairs.rejected_B - reference.rejected_B


def mean_log_ratios(pairs: Pairs, reference: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, divided by the answers' lengths."""
    chosen_B, rejected_B = log_ratios(pairs, reference)
    return chosen_B / pairs.chosen_tokens_B, rejected_B / pairs.rejected_tokens_B


def ranking_metrics(chosen_B: torch.Tensor, rejected_B: torch.Tensor) -> dict[str, torch.Tensor]:
    """Sums of the rewards, their margin, and how many pairs are ranked rightly."""
    chosen_B, rejected_B = chosen_B.detach(), rejected_B.detach()
    return {
        "reward_chosen": chosen_B.sum(),
        "reward_rejected": rejected_B.sum(),
        "margin": (chosen_B - rejected_B).sum(),
        "accuracy": (chosen_B > rejected_B).float().sum(),
    }
