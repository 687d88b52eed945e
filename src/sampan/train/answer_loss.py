"""Answers judged one by one: their loss, and the log-ratio of answers that do not belong to their prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .batches import permutation
from .objectives.pairs import Answers
from .packing import IGNORE, LEAST_SHARED, MicroBatch, Piece, pack, share_prompt, split
from .pair_loss import means_by_source


def mismatched(pieces: Sequence[Piece], *, context_len: int, seed: int) -> list[Piece]:
    """Every prompt with another example's answer, the two paired once for the whole run by the seed.

    KTO's authors pair within a batch; pairing once lets the reference be computed once, and a step's mean depend on its
    examples only (ours). What is longer than the context loses its end.
    """
    order = permutation(len(pieces), "mismatched", seed)
    other = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    out = []
    for number, piece in enumerate(pieces):
        prompt, answer = _prompt_end(piece), pieces[other[number]]
        start = _prompt_end(answer)
        ids = np.concatenate([piece.ids[:prompt], answer.ids[start:]])[:context_len]
        labels = np.full(len(ids), IGNORE, np.int64)
        labels[prompt - 1 :] = answer.labels[start - 1 :][: len(ids) - prompt + 1]
        if len(ids) < prompt + len(answer.ids) - start:
            labels[-1] = IGNORE  # its token was cut off
        out.append(Piece(ids, labels, piece.source))
    return out


def _prompt_end(piece: Piece) -> int:
    """How many ids come before the first trained token."""
    return int(np.flatnonzero(piece.labels != IGNORE)[0]) + 1


def with_mismatched(pieces: Sequence[Piece], others: Sequence[Piece]) -> list[tuple[Piece, Piece]]:
    """Each piece and its mismatched one, which shares the prompt."""
    return [(own, share_prompt(own, other, least=LEAST_SHARED)) for own, other in zip(pieces, others, strict=True)]


class AnswerLoss:
    """The loss of a micro-batch of judged answers. `reference` [2, answers] holds the reference's log-probabilities of
    the answers and of the mismatched ones, by the answers' numbers."""

    def __init__(
        self,
        objective: Callable[..., tuple[torch.Tensor, dict[str, torch.Tensor]]],
        settings: Mapping[str, float],
        desirable: Sequence[bool],
        others: Sequence[Piece],
        reference: torch.Tensor,
        *,
        micro_batch_tokens: int,
        device: str,
    ) -> None:
        self._objective, self._settings, self._others = objective, settings, others
        self._desirable, self._reference = torch.tensor(desirable), reference
        self._limit, self._device, self._kl = micro_batch_tokens, device, torch.zeros(())

    @torch.no_grad()
    def prepare(self, pieces: Sequence[Piece], score: Callable[[MicroBatch], torch.Tensor]) -> None:
        """Before a step: the mean log-ratio of its mismatched answers, whatever micro-batches it is cut into."""
        total = 0.0
        for part in split([self._others[piece.group] for piece in pieces], self._limit):
            total += float(score(pack(part, self._device)).double().sum())
        known = self._reference[1, [piece.group for piece in pieces]].double().sum()
        self._kl = torch.tensor((total - float(known)) / len(pieces), dtype=torch.float32, device=self._device)

    def __call__(self, logprobs_N: torch.Tensor, batch: MicroBatch) -> tuple[torch.Tensor, dict[str, Any]]:
        return self._of(_sums(logprobs_N, batch), [piece.group for piece in batch.pieces])

    @torch.no_grad()
    def losses(self, logprobs_N: torch.Tensor, batch: MicroBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean loss of an answer of its language for every answer, and its piece."""
        sums_B, numbers = _sums(logprobs_N, batch), [piece.group for piece in batch.pieces]

        def loss_of(chosen: list[int]) -> torch.Tensor:
            return self._of(sums_B[chosen], [numbers[place] for place in chosen])[0]

        means_B = means_by_source([piece.source for piece in batch.pieces], loss_of)
        return means_B, torch.arange(len(numbers), device=means_B.device)

    def _of(self, sums_B: torch.Tensor, numbers: list[int]) -> tuple[torch.Tensor, dict[str, Any]]:
        """The summed loss of the answers of these numbers, whose log-probabilities are `sums_B`, and its metrics."""
        desirable_B = self._desirable[numbers].to(sums_B.device)
        reference_B = self._reference[0, numbers].to(sums_B.device)
        answers, before = Answers(sums_B, desirable_B), Answers(reference_B, desirable_B)
        loss, metrics = self._objective(answers, before, self._kl, **self._settings)
        return loss, {**metrics, "kl": self._kl * len(numbers)}


def _sums(logprobs_N: torch.Tensor, batch: MicroBatch) -> torch.Tensor:
    """Log-probabilities of whole answers [answers]."""
    return torch.zeros(len(batch.pieces), device=logprobs_N.device).index_add(0, batch.piece_N, logprobs_N)
