"""Kahneman-Tversky optimisation: answers judged good or bad one by one, no pairs needed."""

from __future__ import annotations

import torch

from .pairs import Answers

REVISION = 1
PAPER = "Ethayarajh et al. 2024 (arXiv:2402.01306), eq. 7."


def kto(
    answers: Answers,
    reference: Answers,
    kl: torch.Tensor,
    *,
    beta: float,
    desirable_weight: float,
    undesirable_weight: float,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """w (1 - σ(β (r - z))) for a desirable answer and w (1 - σ(β (z - r))) for an undesirable one, summed over answers.

    r is the log-ratio of the answer to the reference, z = max(0, `kl`) the point from which gains and losses count: the
    mean log-ratio of answers to prompts that they do not belong to. No gradient flows through z.
    """
    ratio_B = answers.logprobs_B - reference.logprobs_B
    gain_B = beta * (ratio_B - kl.detach().clamp(min=0))
    good_B = answers.desirable_B
    value_B = torch.where(good_B, gain_B, -gain_B).sigmoid()
    weight_B = good_B * desirable_weight + ~good_B * undesirable_weight
    rewards_B = (beta * ratio_B).detach()
    metrics = {
        "reward_desirable": (rewards_B * good_B).sum(),
        "reward_undesirable": (rewards_B * ~good_B).sum(),
        "accuracy": ((gain_B.detach() > 0) == good_B).float().sum(),
    }
    return (weight_B * (1 - value_B)).sum(), metrics
