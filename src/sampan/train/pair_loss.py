"""From token log-probabilities of a packed micro-batch to a preference loss, and the reference computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..core.stage import Runtime
from .distributed import join
from .logprobs import token_logprobs
from .objectives.pairs import Pairs
from .packing import MicroBatch, Piece, pack, split
from .resume import save_tensors

_FILE = "reference.safetensors"


def answer_pairs(logprobs_N: torch.Tensor, batch: MicroBatch) -> Pairs:
    """Sums over answers. Pieces alternate: chosen, rejected, chosen, rejected, …"""
    count = len(batch.pieces)
    sums = torch.zeros(count, device=logprobs_N.device).index_add(0, batch.piece_N, logprobs_N)
    tokens = torch.bincount(batch.piece_N, minlength=count)
    return Pairs(sums[0::2], sums[1::2], tokens[0::2], tokens[1::2])


class PairLoss:
    """The loss of a micro-batch of pairs: an objective, its settings, and the reference's log-probabilities [2, pairs]
    by the pairs' numbers."""

    def __init__(
        self,
        objective: Callable[..., tuple[torch.Tensor, dict[str, torch.Tensor]]],
        settings: Mapping[str, float],
        reference: torch.Tensor | None,
        sft_weight: float = 0.0,
    ) -> None:
        self._objective, self._settings, self._reference = objective, settings, reference
        self._sft_weight = sft_weight

    def __call__(self, logprobs_N: torch.Tensor, batch: MicroBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return self._of(answer_pairs(logprobs_N, batch), [piece.group for piece in batch.pieces[0::2]])

    @torch.no_grad()
    def losses(self, logprobs_N: torch.Tensor, batch: MicroBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean loss of a pair of its language for every pair [pairs], and the first of its pieces."""
        pairs, numbers = answer_pairs(logprobs_N, batch), [piece.group for piece in batch.pieces[0::2]]

        def loss_of(chosen: list[int]) -> torch.Tensor:
            return self._of(pairs.at(chosen), [numbers[place] for place in chosen])[0]

        means_B = means_by_source([piece.source for piece in batch.pieces[0::2]], loss_of)
        return means_B, torch.arange(0, len(batch.pieces), 2, device=means_B.device)

    def _of(self, pairs: Pairs, numbers: list[int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The summed loss of the pairs of these numbers, and its metrics."""
        known = {}
        if self._reference is not None:
            chosen_B, rejected_B = self._reference[:, numbers].to(pairs.chosen_B.device)
            known = {"reference": Pairs(chosen_B, rejected_B, pairs.chosen_tokens_B, pairs.rejected_tokens_B)}
        loss, metrics = self._objective(pairs, **known, **self._settings)
        nll = -(pairs.chosen_B / pairs.chosen_tokens_B).sum()
        if self._sft_weight:
            loss = loss + self._sft_weight * nll
        return loss, {**metrics, "chosen_nll": nll.detach()}


def means_by_source(sources: Sequence[int], loss_of: Callable[[list[int]], torch.Tensor]) -> torch.Tensor:
    """For each place in `sources` the mean loss of its source: `loss_of` sums the loss over places."""
    places: dict[int, list[int]] = {}
    for place, source in enumerate(sources):
        places.setdefault(source, []).append(place)
    means = {source: loss_of(chosen) / len(chosen) for source, chosen in places.items()}
    return torch.stack([means[source] for source in sources])


@torch.no_grad()
def reference_logprobs(
    model: Any,
    pairs: Sequence[tuple[Piece, Piece]],
    *,
    micro_batch_tokens: int,
    dtype: torch.dtype,
    runtime: Runtime,
) -> torch.Tensor:
    """Log-probabilities [2, pairs] of chosen and rejected answers, kept in `runtime.state` for a resumed run; several
    processes share the work."""
    from safetensors.torch import load_file

    path, world = runtime.state / _FILE, join(runtime)
    if world.first(path.is_file()):
        return load_file(path)["logprobs"]
    out = torch.zeros(2, len(pairs))
    pieces = [replace(piece, group=number) for number, pair in enumerate(pairs) for piece in pair]
    done = 0
    for part in split(pieces, micro_batch_tokens)[world.rank :: world.size]:
        batch = pack(part, world.device)
        found = answer_pairs(token_logprobs(model, batch, dtype=dtype, uniform=False), batch)
        numbers = [piece.group for piece in part[0::2]]
        out[0, numbers], out[1, numbers] = found.chosen_B.cpu(), found.rejected_B.cpu()
        done += len(numbers)
        runtime.progress(done, len(pairs), "reference pairs")
    out = world.sum_tensor(out)
    if world.rank == 0:
        save_tensors(path, {"logprobs": out})
    return out
