"""How far a student's next-token distributions are from a teacher's, chunk by chunk: no [N, V] pair is ever kept.

Shapes: N scored tokens, D width, V vocabulary, C a chunk of N, K the teacher's likeliest tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .logprobs import logit_cap, scored_states, spans

Divergence = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From the student's and the teacher's log-probabilities [C, V] to nats [C]."""


@dataclass(frozen=True)
class Lesson:
    """What a student learns: `share` of the loss is `divergence` from the teacher at `temperature`, times its square as
    in Hinton et al. so that gradients keep their size; the rest is cross-entropy with the text."""

    divergence: Divergence
    share: float
    temperature: float


class FullTeacher:
    """A teacher's whole distributions, from its hidden states: [C, V] of one chunk at a time."""

    def __init__(self, model: Any, batch: Any, *, dtype: torch.dtype, temperature: float) -> None:
        self._hidden_ND = scored_states(model, batch, dtype=dtype)
        self._head_VD = model.get_output_embeddings().weight.to(dtype)
        self._cap, self._temperature = logit_cap(model), temperature

    @property
    def rows(self) -> int:
        return len(self._head_VD)

    def sides(self, student_CV: torch.Tensor, span: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """The student's and the teacher's log-probabilities of a chunk."""
        return student_CV, self.logprobs(span, student_CV.shape[1])

    def logprobs(self, span: slice, rows: int) -> torch.Tensor:
        """Log-probabilities [C, rows] of a chunk at the temperature."""
        logits_CV = capped((self._hidden_ND[span] @ self._head_VD[:rows].t()).float(), self._cap)
        return (logits_CV / self._temperature).log_softmax(-1)


class TopTeacher:
    """A teacher of whom the K likeliest tokens are known: ids [N, K] and log-probabilities [N, K + 1], the last of them
    that of all other tokens, which count as one."""

    rows = None

    def __init__(self, ids_NK: torch.Tensor, logprobs_NL: torch.Tensor) -> None:
        self._ids_NK, self._logprobs_NL = ids_NK, logprobs_NL

    def sides(self, student_CV: torch.Tensor, span: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """The student's and the teacher's log-probabilities [C, K + 1] of a chunk, the last for all other tokens."""
        return lumped(student_CV, self._ids_NK[span].long()), self._logprobs_NL[span]


def lumped(logprobs_CV: torch.Tensor, ids_CK: torch.Tensor) -> torch.Tensor:
    """Log-probabilities [C, K + 1] of the given tokens, and of all others together (there must be one)."""
    rest_C = logprobs_CV.scatter(1, ids_CK, float("-inf")).logsumexp(-1)
    return torch.cat([logprobs_CV.gather(1, ids_CK), rest_C[:, None]], -1)


def capped(logits: torch.Tensor, cap: float | None) -> torch.Tensor:
    """Logits under a model's soft cap."""
    return logits if cap is None else torch.tanh(logits / cap) * cap


class _Lesson(torch.autograd.Function):
    """Losses, divergences and negative log-likelihoods [3, N]. The gradient of the summed losses is made in the forward
    pass, while a chunk's logits are at hand; the backward pass scales it."""

    @staticmethod
    def forward(ctx, hidden_ND, weight_VD, labels_N, cap, teacher, lesson: Lesson):
        out = torch.empty(3, len(labels_N), dtype=torch.float32, device=hidden_ND.device)
        wants = ctx.needs_input_grad[:2]
        hidden = torch.empty_like(hidden_ND) if wants[0] else None
        weight = torch.zeros_like(weight_VD, dtype=torch.float32) if wants[1] else None
        for span in spans(len(labels_N), weight_VD):
            logits_CV = (hidden_ND[span] @ weight_VD.t()).float().requires_grad_()
            with torch.enable_grad():
                out[:, span], total = _chunk(capped(logits_CV, cap), labels_N[span], teacher, span, lesson)
            if any(wants):
                (delta_CV,) = torch.autograd.grad(total, logits_CV)
                delta_CV = delta_CV.to(hidden_ND.dtype)
                if wants[0]:
                    hidden[span] = delta_CV @ weight_VD
                if wants[1]:
                    weight += delta_CV.t() @ hidden_ND[span]
        ctx.save_for_backward(hidden, weight)
        return out

    @staticmethod
    def backward(ctx, grad_3N):
        scale = grad_3N[0, 0] if grad_3N.shape[1] else 0.0
        if grad_3N.shape[1] and not bool((grad_3N[0] == scale).all()):
            raise RuntimeError("losses of distillation were weighted differently")
        return (*(None if x is None else x * scale for x in ctx.saved_tensors), None, None, None, None)


def _chunk(logits_CV, labels_C, teacher, span, lesson: Lesson) -> tuple[torch.Tensor, torch.Tensor]:
    """([3, C] without a gradient, the summed loss with one)."""
    known_CV = logits_CV if teacher.rows is None else logits_CV[:, : teacher.rows]
    student_CV = (known_CV / lesson.temperature).log_softmax(-1)
    apart_C = lesson.divergence(*teacher.sides(student_CV, span))
    nll_C = logits_CV.logsumexp(-1) - logits_CV.gather(1, labels_C[:, None])[:, 0]
    loss_C = lesson.share * lesson.temperature**2 * apart_C + (1 - lesson.share) * nll_C
    return torch.stack([loss_C, apart_C, nll_C]).detach(), loss_C.sum()


def lesson_losses(model: Any, batch: Any, teacher: Any, lesson: Lesson, *, dtype: torch.dtype) -> torch.Tensor:
    """[3, N]: the losses of a micro-batch's scored tokens, which all must weigh the same, and of what they are made."""
    hidden_ND = scored_states(model, batch, dtype=dtype)
    weight_VD = model.get_output_embeddings().weight.to(dtype)
    return _Lesson.apply(hidden_ND, weight_VD, batch.labels_N, logit_cap(model), teacher, lesson)
