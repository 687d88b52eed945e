"""How likely a model finds given text: log-probabilities of continuations, in length-sorted batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

MAX_LOGITS = 1 << 27
"""Logits held at once (512 MiB in float32), whatever the vocabulary's size, as long as one row fits."""
WORTH_SHARING = 0.7
"""Rows run as trees if their prefix tree has at most this share of their tokens; above it padded batches are faster."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Of one continuation given its context: log-probability in nats, tokens scored, whether greedy would say it."""

    logprob: float
    tokens: int
    greedy: bool


Pair = tuple[list[int], list[int]]
"""Ids of a context and of what follows it, both non-empty."""
Score = Callable[[Sequence[Pair]], list[Likelihood]]
"""How likely one model finds each pair."""


@dataclass(slots=True)
class _Row:
    """Ids fed to the model, of whose next-token predictions the last `predicted` count.

    Continuations that differ only in their last token (A, B, C, D) share a row: `lasts` are these tokens and `owners`
    the numbers of their pairs.
    """

    ids: list[int]
    predicted: int
    lasts: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)

    @property
    def before(self) -> int:
        """Ids whose predictions do not count."""
        return len(self.ids) - self.predicted


def continuations(
    model: PreTrainedModel,
    pairs: Sequence[Pair],
    *,
    max_batch_tokens: int = 2048,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Likelihood]:
    """Score each pair, in the given order.

    A context longer than the model's window loses its beginning. A continuation longer than the window is scored in
    pieces, each with one token of context, so every token of it is predicted exactly once.
    """
    import torch

    rows = _rows(pairs, model.config.max_position_embeddings)
    totals = [(0.0, 0, True)] * len(pairs)
    done = 0
    with torch.inference_mode():
        for batch, scores in _scored(model, rows, max_batch_tokens):
            for row, values in zip(batch, scores, strict=True):
                for owner, (logprob, greedy) in zip(row.owners, values, strict=True):
                    before = totals[owner]
                    totals[owner] = (before[0] + logprob, before[1] + row.predicted, before[2] and greedy)
            done += len(batch)
            progress(done, len(rows))
    return [Likelihood(*total) for total in totals]


def _scored(model: PreTrainedModel, rows: list[_Row], max_tokens: int) -> Iterator[tuple[list[_Row], list]]:
    """Batches with their scores: as trees where much of the rows is shared, else padded and sorted by length."""
    from .shared_prefix import SharedPrefix, can_share, chunks, distinct_share

    positions = max(1, MAX_LOGITS // model.config.vocab_size)
    if distinct_share([row.ids for row in rows]) > WORTH_SHARING or not can_share(model):
        for batch in _batches(rows, max_tokens, positions):
            yield batch, _score(model, batch)
        return
    shared = SharedPrefix(model)
    most = [row.before for row in rows]
    for chunk in chunks([row.ids for row in rows], most, max_tokens=max_tokens, max_positions=positions):
        batch = [rows[number] for number in chunk.numbers]
        wanted = [range(row.before, len(row.ids)) for row in batch]
        logits_NV, *_ = shared.run([row.ids for row in batch], chunk.trunk, wanted.__getitem__, max_tokens=max_tokens)
        shared.forget_newest()
        yield batch, _values(logits_NV, batch)


def _rows(pairs: Sequence[Pair], window: int) -> list[_Row]:
    rows: dict[tuple, _Row] = {}
    for owner, (context, continuation) in enumerate(pairs):
        whole, start = context + continuation, len(context)
        step = len(continuation) if len(continuation) <= window else max(1, window - 1)
        for first in range(start, len(whole), step):
            last = min(first + step, len(whole))
            begin = max(0, last - 1 - window) if first == start else first - 1
            begin = min(begin, first - 1)
            ids, predicted = whole[begin : last - 1], last - first
            row = rows.setdefault((tuple(ids), predicted), _Row(ids, predicted))
            row.lasts.append(whole[last - 1])
            row.owners.append(owner)
    return list(rows.values())


def _batches(rows: Sequence[_Row], max_tokens: int, max_positions: int) -> Iterator[list[_Row]]:
    """Rows of similar length together: at most `max_tokens` padded ids and `max_positions` positions with logits."""
    batch: list[_Row] = []
    positions = 0
    for row in sorted(rows, key=lambda row: -len(row.ids)):  # stable: equal lengths keep their order
        width = len(batch[0].ids) if batch else len(row.ids)
        if batch and ((len(batch) + 1) * width > max_tokens or positions + row.predicted > max_positions):
            yield batch
            batch, positions = [], 0
        batch.append(row)
        positions += row.predicted
    if batch:
        yield batch


def _score(model: PreTrainedModel, rows: Sequence[_Row]) -> list[list[tuple[float, bool]]]:
    """(log-probability, greedy) for every last token of every row."""
    import torch

    from .shared_prefix import head_rows

    width = max(len(row.ids) for row in rows)
    # Padded on the right, where causal attention never looks: no mask is needed, and without one attention is faster.
    ids_BT = torch.tensor([row.ids + [0] * (width - len(row.ids)) for row in rows], device=model.device)
    if model.get_output_embeddings() is None:
        logits_BTV = model(input_ids=ids_BT, use_cache=False).logits
        return [_last_values(logits_BTV[b, row.before : len(row.ids)], row) for b, row in enumerate(rows)]
    places = [b * width + place for b, row in enumerate(rows) for place in range(row.before, len(row.ids))]
    with head_rows(model, places):
        logits_NV = model(input_ids=ids_BT, use_cache=False).logits[0]
    return _values(logits_NV, rows)


def _values(logits_NV: torch.Tensor, rows: Sequence[_Row]) -> list[list[tuple[float, bool]]]:
    """The rows' scores from the logits of their predicted positions, one row after the other."""
    parts = logits_NV.split([row.predicted for row in rows])
    return [_last_values(part, row) for part, row in zip(parts, rows, strict=True)]


def _last_values(logits_NV: torch.Tensor, row: _Row) -> list[tuple[float, bool]]:
    """For each last token, the row's log-probability with it; N = `row.predicted` positions."""
    import torch

    logits_NV = logits_NV.float()
    norm_N = logits_NV.logsumexp(-1)
    best_N = logits_NV.argmax(-1)
    told_N = torch.tensor(row.ids[row.before + 1 :], dtype=torch.long, device=logits_NV.device)
    said_N = logits_NV[:-1].gather(1, told_N[:, None])[:, 0] - norm_N[:-1]
    shared = said_N.double().sum().item() if len(told_N) else 0.0
    greedy = bool((best_N[:-1] == told_N).all())
    ends = (logits_NV[-1, row.lasts] - norm_N[-1]).tolist()
    best = best_N[-1].item()
    return [(shared + end, greedy and last == best) for end, last in zip(ends, row.lasts, strict=True)]


def text_nats(score: Score, documents: Sequence[list[int]], *, context_len: int) -> list[float]:
    """Nats that a model spends on each document (ids beginning with BOS, which is given, not predicted).

    Long documents are cut into windows of `context_len`; the token before a window is its context, so every token but
    the first is predicted exactly once.
    """
    pairs, owner = [], []
    step = max(1, context_len - 1)
    for number, ids in enumerate(documents):
        for start in range(1, len(ids), step):
            pairs.append((ids[start - 1 : start], ids[start : start + step]))
            owner.append(number)
    nats = [0.0] * len(documents)
    for number, value in zip(owner, score(pairs), strict=True):
        nats[number] -= value.logprob
    return nats
