"""Distillation by a symmetric divergence, bounded where either side says zero."""

from __future__ import annotations

import math

import torch

REVISION = 1
PAPER = "GKD, Agarwal et al. 2023 (arXiv:2306.13649), eq. 1 with β = 1/2."


def jensen_shannon(student_CV: torch.Tensor, teacher_CV: torch.Tensor) -> torch.Tensor:
    """Half of each side's divergence from the two's mean [C] in nats, from log-probabilities [C, V]."""
    middle_CV = torch.logaddexp(student_CV, teacher_CV) - math.log(2)
    teacher_C = (teacher_CV.exp() * (teacher_CV - middle_CV)).sum(-1)
    student_C = (student_CV.exp() * (student_CV - middle_CV)).sum(-1)
    return (teacher_C + student_C) / 2
