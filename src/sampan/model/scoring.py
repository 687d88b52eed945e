"""How likely a model finds given text: log-probabilities of continuations, in length-sorted batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Of one continuation given its context: log-probability in nats, tokens scored, whether greedy would say it."""

    logprob: float
    tokens: int
    greedy: bool


def continuations(
    model: PreTrainedModel,
    pairs: Sequence[tuple[list[int], list[int]]],
    *,
    max_batch_tokens: int = 8192,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Likelihood]:
    """Score each (context ids, continuation ids), both non-empty, in the given order.

    A context longer than the model's window loses its beginning; the continuation is always whole.
    """
    import torch

    window = model.config.max_position_embeddings
    rows = [((context + continuation)[-window:], len(continuation)) for context, continuation in pairs]
    out: list[Likelihood | None] = [None] * len(rows)
    done = 0
    with torch.inference_mode():
        for batch in _batches([len(ids) for ids, _ in rows], max_batch_tokens):
            for number, value in zip(batch, _score(model, [rows[n] for n in batch]), strict=True):
                out[number] = value
            done += len(batch)
            progress(done, len(rows))
    return out


def _batches(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Indexes grouped by similar length so that a padded batch holds at most `limit` tokens."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > limit:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _score(model: PreTrainedModel, rows: Sequence[tuple[list[int], int]]) -> list[Likelihood]:
    import torch

    width = max(len(ids) for ids, _ in rows)
    ids_BT = torch.zeros(len(rows), width, dtype=torch.long)
    keep_BT = torch.zeros(len(rows), width, dtype=torch.long)
    for b, (ids, _) in enumerate(rows):  # padded on the right: causal attention never looks there
        ids_BT[b, : len(ids)] = torch.tensor(ids)
        keep_BT[b, : len(ids)] = 1
    ids_BT, keep_BT = ids_BT.to(model.device), keep_BT.to(model.device)
    longest = max(n for _, n in rows)
    first = min(len(ids) - n for ids, n in rows)
    logits_BTV = model(input_ids=ids_BT, attention_mask=keep_BT, logits_to_keep=width - first + 1).logits.float()
    assert longest <= width
    offset = width - logits_BTV.shape[1]
    out = []
    for b, (ids, n) in enumerate(rows):
        at = slice(len(ids) - n - 1 - offset, len(ids) - 1 - offset)
        out.append(_likelihood(logits_BTV[b, at], ids_BT[b, len(ids) - n : len(ids)]))
    return out


def _likelihood(logits_TV: torch.Tensor, target_T: torch.Tensor) -> Likelihood:
    logprobs_TV = logits_TV.log_softmax(-1)
    total = logprobs_TV.gather(1, target_T[:, None]).double().sum().item()
    return Likelihood(total, len(target_T), bool((logprobs_TV.argmax(-1) == target_T).all()))


def text_nats(
    model: PreTrainedModel,
    documents: Sequence[list[int]],
    *,
    context_len: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[float]:
    """Nats that the model spends on each document (ids beginning with BOS, which is given, not predicted).

    Long documents are cut into windows of `context_len`; the token before a window is its context, so every token but
    the first is predicted exactly once.
    """
    pairs, owner = [], []
    for number, ids in enumerate(documents):
        for start in range(1, len(ids), context_len - 1):
            pairs.append((ids[start - 1 : start], ids[start : start + context_len - 1]))
            owner.append(number)
    nats = [0.0] * len(documents)
    for number, value in zip(owner, continuations(model, pairs, progress=progress), strict=True):
        nats[number] -= value.logprob
    return nats
