"""Odds-ratio preference optimisation: supervised tuning and preference in one loss, without a reference."""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from .pairs import Pairs, ranking_metrics

REVISION = 2
PAPER = "Hong, Lee, Thorne 2024 (arXiv:2403.07691), eq. 6 and 7; its λ is `beta` here."


_CERTAIN = -(2.0**-24)
"""The log-probability that float32 does not tell from 0. A certain answer's odds would be endless, and its gradient
not a number."""


def orpo(pairs: Pairs, *, beta: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """NLL of the chosen answer (a mean over its tokens) - β log σ(log odds of chosen - log odds of rejected), summed
    over pairs; an answer's odds are p / (1 - p) with log p its mean log-probability."""
    chosen_B = pairs.chosen_B / pairs.chosen_tokens_B
    rejected_B = pairs.rejected_B / pairs.rejected_tokens_B
    odds_B = chosen_B - rejected_B - (_log_rest(chosen_B) - _log_rest(rejected_B))
    return (-chosen_B - beta * logsigmoid(odds_B)).sum(), ranking_metrics(beta * chosen_B, beta * rejected_B)


def _log_rest(logprob: torch.Tensor) -> torch.Tensor:
    """log(1 - exp(x)) for x < 0, exact at both ends (Mächler 2012)."""
    near = (-torch.expm1(logprob.clamp(-0.7, _CERTAIN))).log()
    far = torch.log1p(-logprob.clamp(max=-0.6).exp())
    return torch.where(logprob > -0.693, near, far)
