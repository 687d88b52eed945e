"""Distillation by the divergence of the student from the teacher: the student covers all the teacher says."""

from __future__ import annotations

import torch

REVISION = 1
PAPER = "Hinton, Vinyals, Dean 2015 (arXiv:1503.02531)."


def forward_kl(student_CV: torch.Tensor, teacher_CV: torch.Tensor) -> torch.Tensor:
    """KL(teacher ‖ student) [C] in nats, from log-probabilities [C, V]."""
    return (teacher_CV.exp() * (teacher_CV - student_CV)).sum(-1)
