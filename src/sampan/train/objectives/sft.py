"""Supervised fine-tuning: next-token prediction on the assistant's tokens."""

from __future__ import annotations

import torch

from .causal_lm import causal_lm

REVISION = 1
PAPER = "SeaLLMs (arXiv:2312.00738), SEA-LION v3 (arXiv:2504.05747): token-mean cross-entropy on assistant tokens only."


def sft(logprobs_N: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Cross-entropy in nats, summed over the N assistant tokens (the stage's labels leave out all others)."""
    return causal_lm(logprobs_N)
