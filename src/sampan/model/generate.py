"""Decode: greedy or sampled, many prompts at once or one token at a time, the same whatever the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import InputError, RecipeError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How to choose tokens. `temperature` 0 is greedy; `top_p` keeps the smallest set of that probability mass."""

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.temperature < 0 or not 0 < self.top_p <= 1:
            raise RecipeError(
                f"cannot decode with {self}",
                how="Take max_new_tokens of at least 1, a temperature of 0 or more, and 0 < top_p <= 1.",
            )


def generate(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    decoding: Decoding,
    *,
    stop_ids: Sequence[int],
    streams: Sequence[int] | None = None,
    batch_size: int = 32,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[int]]:
    """New token ids for each prompt (ids, non-empty), without the stop token, in the given order.

    Each prompt draws from a generator of its own, seeded by (seed, its number in `streams`, by default its position in
    `prompts`), so a sample does not depend on how prompts are batched. A prompt longer than `prompt_room` loses its
    beginning. InputError if the window has no room for a prompt at all.
    """
    prompt_room(model, decoding)
    order = sorted(range(len(prompts)), key=lambda n: (len(prompts[n]), n))
    out: list[list[int]] = [[] for _ in prompts]
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        draws = batch if streams is None else [streams[n] for n in batch]
        for step in _steps(model, [prompts[n] for n in batch], decoding, stop_ids, streams=draws):
            for row, token in step:
                out[batch[row]].append(token)
        progress(start + len(batch), len(order))
    return out


def stream(model: PreTrainedModel, prompt: list[int], decoding: Decoding, *, stop_ids: Sequence[int]) -> Iterator[int]:
    """New token ids of one prompt as they are chosen, without the stop token. InputError as in `generate`."""
    for step in _steps(model, [prompt], decoding, stop_ids, streams=[0]):
        for _, token in step:
            yield token


def prompt_room(model: PreTrainedModel, decoding: Decoding) -> int:
    """The longest prompt, in tokens, that leaves room for the answer; InputError if there is none."""
    window = model.config.max_position_embeddings
    if decoding.max_new_tokens >= window:
        raise InputError(
            f"max_new_tokens = {decoding.max_new_tokens} leaves no room for a prompt in a window of {window} tokens",
            how=f"Give at most {window - 1}, and less than that by the length of the prompts.",
        )
    return window - decoding.max_new_tokens


def _steps(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    decoding: Decoding,
    stop_ids: Sequence[int],
    *,
    streams: Sequence[int],
) -> Iterator[list[tuple[int, int]]]:
    """Per step, (row, token) of the rows that still run. Prompts are padded on the left and share one cache."""
    import torch
    from transformers import DynamicCache

    room = prompt_room(model, decoding)
    prompts = [ids[-room:] for ids in prompts]
    width = max(map(len, prompts))
    ids_BT = torch.tensor([[0] * (width - len(ids)) + ids for ids in prompts], device=model.device)
    keep_BT = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts], device=model.device)
    draws = [torch.Generator().manual_seed(_mix(decoding.seed, s)) for s in streams]
    cache, running, stops = DynamicCache(config=model.config), set(range(len(prompts))), set(stop_ids)
    for _ in range(decoding.max_new_tokens):
        with torch.inference_mode():
            logits_BV = model(
                input_ids=ids_BT,
                attention_mask=keep_BT,
                position_ids=(keep_BT.cumsum(1) - 1).clamp(min=0)[:, -ids_BT.shape[1] :],
                past_key_values=cache,
                logits_to_keep=1,
            ).logits[:, -1]
        chosen = _choose(logits_BV.float().cpu(), decoding, draws, running)
        running -= {row for row in running if chosen[row] in stops}
        if not running:
            return
        yield [(row, chosen[row]) for row in sorted(running)]
        ids_BT = torch.tensor(chosen, device=model.device)[:, None]
        keep_BT = torch.cat([keep_BT, keep_BT.new_ones(len(prompts), 1)], 1)


def _choose(logits_BV: torch.Tensor, decoding: Decoding, draws: Sequence[torch.Generator], rows: set[int]) -> list[int]:
    """The next token of every row; rows that have stopped take any."""
    import torch

    if decoding.temperature == 0:
        return logits_BV.argmax(-1).tolist()
    probs_BV = (logits_BV / decoding.temperature).softmax(-1)
    sorted_BV, index_BV = torch.sort(probs_BV, dim=-1, descending=True, stable=True)
    total_BV = sorted_BV.cumsum(-1)
    sorted_BV = sorted_BV.masked_fill(total_BV - sorted_BV >= decoding.top_p, 0.0)
    total_BV = sorted_BV.cumsum(-1)
    chosen = [0] * len(logits_BV)
    for row in rows:
        point = torch.rand((), generator=draws[row]) * total_BV[row, -1]
        place = min(int(torch.searchsorted(total_BV[row], point, right=True)), total_BV.shape[1] - 1)
        chosen[row] = int(index_BV[row, place])
    return chosen


def _mix(seed: int, stream: int) -> int:
    return (seed * 0x9E3779B97F4A7C15 + stream * 0xBF58476D1CE4E5B9 + 1) % (1 << 63)
