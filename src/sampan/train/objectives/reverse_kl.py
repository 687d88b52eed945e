"""Distillation by the divergence of the teacher from the student: the student keeps to what the teacher likes."""

from __future__ import annotations

import torch

REVISION = 1
PAPER = "MiniLLM, Gu et al. 2023 (arXiv:2306.08543), token by token on given text."


def reverse_kl(student_CV: torch.Tensor, teacher_CV: torch.Tensor) -> torch.Tensor:
    """KL(student ‖ teacher) [C] in nats, from log-probabilities [C, V]."""
    return (student_CV.exp() * (student_CV - teacher_CV)).sum(-1)
