"""Decode: greedy or sampled, many prompts at once or one token at a time, the same whatever the batch.

Many prompts run in slots: what prompts begin with together is computed once, and a finished answer makes place for the
next prompt. Models that cannot share prefixes (sliding windows, state spaces) run in padded batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..core.errors import InputError, RecipeError
from .stopping import Ended, never

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from .shared_prefix import SharedPrefix

PREFILL_TOKENS = 2048
"""Prompt tokens in one forward pass, beside what the prompts share."""


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
    ended: Sequence[Ended] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[int]]:
    """New token ids for each prompt (ids, non-empty), without the stop token, in the given order.

    Each prompt draws from a generator of its own, seeded by (seed, its number in `streams`, by default its position in
    `prompts`), so a sample does not depend on how prompts are batched. A prompt longer than `prompt_room` loses its
    beginning. `ended` has one test for each prompt, which may end its answer at any token, such as where a stop string
    is complete. InputError if the window has no room for a prompt at all.
    """
    from .shared_prefix import can_share

    room = prompt_room(model, decoding)
    numbers = range(len(prompts)) if streams is None else streams
    tests = [never] * len(prompts) if ended is None else ended
    runs = [_Run(ids[-room:], *rest) for ids, *rest in zip(prompts, numbers, tests, strict=True)]
    rules = _Rules(decoding, frozenset(stop_ids))
    way = _in_slots if can_share(model) else _padded
    way(model, runs, rules, batch_size, lambda done: progress(done, len(runs)))
    return [run.ids for run in runs]


@dataclass(frozen=True)
class _Rules:
    """How tokens are chosen, and which ones end an answer."""

    decoding: Decoding
    stops: frozenset[int]


@dataclass
class _Run:
    """A prompt, the number of its random stream, what else ends its answer, and the answer so far."""

    prompt: list[int]
    stream: int
    ended: Ended
    ids: list[int] = field(default_factory=list)

    def goes_on(self, token: int, rules: _Rules) -> bool:
        """Take a token; False at the answer's end."""
        if token in rules.stops:
            return False
        self.ids.append(token)
        return len(self.ids) < rules.decoding.max_new_tokens and not self.ended(self.ids)


def _in_slots(
    model: PreTrainedModel, runs: Sequence[_Run], rules: _Rules, batch_size: int, tell: Callable[[int], None]
) -> None:
    """Continuous batching of one family of prompts after the other; `tell` hears how many answers have ended."""
    import torch

    from .shared_prefix import SharedPrefix, families

    done = 0
    shared = SharedPrefix(model)
    for numbers in families([run.prompt for run in runs], max(2, batch_size // 4)):
        family = [runs[number] for number in numbers]
        with torch.inference_mode():
            for ended_now in _family(shared, family, rules, min(batch_size, len(family))):
                tell(done + ended_now)
        done += len(family)


def _family(shared: SharedPrefix, runs: Sequence[_Run], rules: _Rules, size: int) -> Iterator[int]:
    """Free slots are filled again as soon as a quarter of them is free. Yields how many answers have ended."""
    from .slots import Slots

    trunk = _common_trunk(shared, runs)
    by_length = _by_length(runs, trunk)
    waiting = sorted(runs, key=(lambda run: len(run.prompt)) if by_length else lambda run: run.prompt, reverse=True)
    slots = Slots(shared.model, size, [layer.trunk for layer in shared.cache.layers])
    running: list[_Run] = []
    draws: list[torch.Generator] = []
    while waiting or running:
        free = size - len(running)
        if waiting and (not running or 4 * free >= size):
            new = [waiting.pop() for _ in range(min(free, len(waiting)))]
            for run, draw, token, states in _prefill(shared, new, rules.decoding, trunk, by_length):
                if run.goes_on(token, rules):
                    slots.add(states)
                    running.append(run)
                    draws.append(draw)
            shared.forget_newest()
        elif running:
            chosen = _choose(slots.step([run.ids[-1] for run in running]).float().cpu(), rules.decoding, draws)
            for slot in reversed(range(len(running))):
                if not running[slot].goes_on(chosen[slot], rules):
                    slots.drop(slot)
                    for rows in (running, draws):
                        rows[slot] = rows[-1]
                        rows.pop()
        yield len(runs) - len(waiting) - len(running)


def _common_trunk(shared: SharedPrefix, runs: Sequence[_Run]) -> int:
    """Compute what all prompts begin with, less every prompt's last token; returns its length."""
    from .shared_prefix import common

    prompts = [run.prompt for run in runs]
    first = min(prompts)
    alike = min(common(first, max(prompts)), *(len(prompt) - 1 for prompt in prompts)) if len(prompts) > 1 else 0
    return shared.keep(first, alike, PREFILL_TOKENS)


def _by_length(runs: Sequence[_Run], trunk: int) -> bool:
    """Whether prompts share so little behind the trunk that those of similar length had better run together."""
    from .scoring import WORTH_SHARING
    from .shared_prefix import distinct_share

    return distinct_share([run.prompt[trunk:] for run in runs]) > WORTH_SHARING


def _prefill(
    shared: SharedPrefix, runs: Sequence[_Run], decoding: Decoding, trunk: int, similar: bool
) -> Iterator[tuple]:
    """(run, generator, first token, keys and values behind the trunk) of every run."""
    from .shared_prefix import by_length, chunks

    prompts = [run.prompt for run in runs]
    if similar:
        parts = by_length(prompts, trunk, max_tokens=PREFILL_TOKENS)
    else:
        most = [len(prompt) - 1 for prompt in prompts]
        parts = chunks(prompts, most, max_tokens=PREFILL_TOKENS, max_positions=len(prompts))
    for chunk in parts:
        part = [runs[number] for number in chunk.numbers]
        rows = [run.prompt for run in part]
        logits_BV, layout, _ = shared.run(
            rows, chunk.trunk, lambda n, rows=rows: range(len(rows[n]) - 1, len(rows[n])), max_tokens=PREFILL_TOKENS
        )
        draws = [_generator(decoding, run.stream) for run in part]
        first = _choose(logits_BV.float().cpu(), decoding, draws)
        for n, run in enumerate(part):
            yield run, draws[n], first[n], shared.row_states(layout, n, trunk)


def _padded(
    model: PreTrainedModel, runs: Sequence[_Run], rules: _Rules, batch_size: int, tell: Callable[[int], None]
) -> None:
    """Batches of prompts of similar length, each until its last answer ends; `tell` as in `_in_slots`."""
    order = sorted(runs, key=lambda run: len(run.prompt))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        prompts, streams, running = [run.prompt for run in batch], [run.stream for run in batch], set(range(len(batch)))
        for chosen in _steps(model, prompts, rules.decoding, streams, running):
            running -= {row for row in running if not batch[row].goes_on(chosen[row], rules)}
        tell(start + len(batch))


def stream(model: PreTrainedModel, prompt: list[int], decoding: Decoding, *, stop_ids: Sequence[int]) -> Iterator[int]:
    """New token ids of one prompt as they are chosen, without the stop token. InputError as in `generate`."""
    kept = prompt[-prompt_room(model, decoding) :]
    for number, (token,) in enumerate(_steps(model, [kept], decoding, [0], {0}), 1):
        if token in stop_ids:
            return
        yield token
        if number == decoding.max_new_tokens:
            return


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
    streams: Sequence[int],
    running: set[int],
) -> Iterator[list[int]]:
    """Per step, the next token of every row, until `running` is empty. Prompts are padded on the left, in one cache."""
    import torch
    from transformers import DynamicCache

    width = max(map(len, prompts))
    ids_BT = torch.tensor([[0] * (width - len(ids)) + ids for ids in prompts], device=model.device)
    keep_BT = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts], device=model.device)
    draws = [_generator(decoding, number) for number in streams]
    cache = DynamicCache(config=model.config)
    while running:
        with torch.inference_mode():
            logits_BV = model(
                input_ids=ids_BT,
                attention_mask=keep_BT,
                position_ids=(keep_BT.cumsum(1) - 1).clamp(min=0)[:, -ids_BT.shape[1] :],
                past_key_values=cache,
                logits_to_keep=1,
            ).logits[:, -1]
        chosen = _choose(logits_BV.float().cpu(), decoding, draws)
        yield chosen
        ids_BT = torch.tensor(chosen, device=model.device)[:, None]
        keep_BT = torch.cat([keep_BT, keep_BT.new_ones(len(prompts), 1)], 1)


def _choose(logits_BV: torch.Tensor, decoding: Decoding, draws: Sequence[torch.Generator]) -> list[int]:
    """The next token of every row."""
    import torch

    if decoding.temperature == 0:
        return logits_BV.argmax(-1).tolist()
    probs_BV = (logits_BV / decoding.temperature).softmax(-1)
    sorted_BV, index_BV = torch.sort(probs_BV, dim=-1, descending=True, stable=True)
    total_BV = sorted_BV.cumsum(-1)
    sorted_BV = sorted_BV.masked_fill(total_BV - sorted_BV >= decoding.top_p, 0.0)
    total_BV = sorted_BV.cumsum(-1)
    chosen = []
    for row, draw in enumerate(draws):
        point = torch.rand((), generator=draw) * total_BV[row, -1]
        place = min(int(torch.searchsorted(total_BV[row], point, right=True)), total_BV.shape[1] - 1)
        chosen.append(int(index_BV[row, place]))
    return chosen


def _generator(decoding: Decoding, stream: int) -> torch.Generator:
    import torch

    return torch.Generator().manual_seed(_mix(decoding.seed, stream))


def _mix(seed: int, stream: int) -> int:
    return (seed * 0x9E3779B97F4A7C15 + stream * 0xBF58476D1CE4E5B9 + 1) % (1 << 63)
