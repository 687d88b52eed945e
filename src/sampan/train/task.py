"""What to learn: where the pieces of every step come from and what is made of their log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .batches import ListBatches, ShardBatches
from .logprobs import penalised_logprobs
from .packing import MicroBatch, Piece

Score = Callable[[Any, MicroBatch, torch.dtype], torch.Tensor]
"""From model, micro-batch and number format to what the loss reads, by default the log-probabilities [N]."""
Loss = Callable[[torch.Tensor, MicroBatch], tuple[torch.Tensor, Mapping[str, torch.Tensor]]]
"""From the log-probabilities [N] of a micro-batch's trained tokens to the summed loss and summed metrics."""

Losses = Callable[[torch.Tensor, MicroBatch], tuple[torch.Tensor, torch.Tensor]]
"""From the same to the loss [U] of each unit, such as a token's negative log-likelihood or the loss of a pair, and the
number of its piece [U]."""


@dataclass(frozen=True)
class Task:
    """What to learn: `batches` give the pieces of every step, `loss` is summed over them and divided by their units.

    `uniform` promises that the loss weighs all log-probabilities equally (see linear_logprobs). `prepare` is called
    before each step with its pieces and a function from micro-batch to log-probabilities; `score` gives the loss
    something else to read than log-probabilities. `losses` tells what the loss is made of, for the loss by stream.
    """

    batches: ShardBatches | ListBatches
    loss: Loss
    uniform: bool
    prepare: Callable[[Sequence[Piece], Callable[[MicroBatch], torch.Tensor]], None] | None = None
    score: Score | None = None
    losses: Losses | None = None


def token_task(batches: Any, objective: Callable[..., Any], *, z_loss: float = 0.0) -> Task:
    """The task of predicting every trained token, all of them weighing the same, with PaLM's z-loss on request."""
    if not z_loss:
        return Task(batches, lambda logprobs_N, batch: objective(logprobs_N), uniform=True, losses=token_losses)

    def score(model: Any, batch: MicroBatch, dtype: torch.dtype) -> torch.Tensor:
        return penalised_logprobs(model, batch, dtype=dtype, z=z_loss)

    def loss(scores_2N: torch.Tensor, batch: MicroBatch) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        total, metrics = objective(scores_2N[0])
        return total, {**metrics, "z_loss": scores_2N[1].sum().detach()}

    def losses(scores_2N: torch.Tensor, batch: MicroBatch) -> tuple[torch.Tensor, torch.Tensor]:
        return token_losses(scores_2N.sum(0), batch)

    return Task(batches, loss, uniform=True, score=score, losses=losses)


def token_losses(logprobs_N: torch.Tensor, batch: MicroBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Each trained token's negative log-likelihood, and its piece."""
    return -logprobs_N, batch.piece_N
