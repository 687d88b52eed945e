"""Pieces that go on from another piece's prompt: whose keys they read, and attention over prompt and own tokens.

A second answer's queries are its own tokens; its keys are the prompt's, computed once in the piece that it shares them
with, and its own. It never sees the first answer.

Shapes: R tails, Q queries and W keys of a bucket's widest tail, T rows of the micro-batch, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

_SLACK, _SHARE = 16, 0.25


@dataclass(frozen=True)
class TailBucket:
    """Tails of similar width, padded on the right: queries [R · Q] of the tails' own rows, keys [R · W] of all rows."""

    count: int
    queries: int
    width: int
    ends_RQ: torch.Tensor
    """The place within its piece of every query; padding repeats the last one."""

    def allowed(self, window: int | None) -> torch.Tensor:
        """Which keys [R, 1, Q, W] a query may see: those not after it, and within the window if there is one."""
        places_W = torch.arange(self.width, device=self.ends_RQ.device)
        distance_RQW = self.ends_RQ[:, :, None] - places_W
        allowed = distance_RQW >= 0 if window is None else (distance_RQW >= 0) & (distance_RQW < window)
        return allowed[:, None]


class Tails:
    """Where the tails' rows and their prompts lie.

    `prompts` are the rows where each one's prompt begins, `shared` the lengths of these prompts, `starts` the rows
    where its own tokens begin, with the end of the last as a last entry. No two tails may read the same prompt.
    """

    def __init__(
        self, prompts: Sequence[int], shared: Sequence[int], starts: Sequence[int], device: torch.device | str
    ) -> None:
        self._prompts, self._shared = np.asarray(prompts, np.int64), np.asarray(shared, np.int64)
        self._starts, self._device = np.asarray(starts[:-1], np.int64), torch.device(device)
        self._own = np.diff(np.asarray(starts, np.int64))
        self._masks: dict[tuple, list[torch.Tensor]] = {}

    @property
    def prompts(self) -> np.ndarray:
        """The row where each one's prompt begins."""
        return self._prompts

    @property
    def widths(self) -> list[int]:
        """Prompt and own tokens of each tail."""
        return (self._shared + self._own).tolist()

    @cached_property
    def own(self) -> list[int]:
        """Own tokens of each tail."""
        return self._own.tolist()

    @cached_property
    def key_rows(self) -> torch.Tensor:
        """The rows of every tail's keys end to end: its prompt, then its own."""
        rows = [self._keys(number) for number in range(len(self._own))]
        return torch.from_numpy(np.concatenate(rows)).to(self._device)

    def _keys(self, number: int) -> np.ndarray:
        prompt, start = self._prompts[number], self._starts[number]
        return np.concatenate(
            [np.arange(prompt, prompt + self._shared[number]), np.arange(start, start + self._own[number])]
        )

    @cached_property
    def _plan(self) -> tuple[list[TailBucket], torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Buckets; for each padded query its row among the tails' rows, and the reverse; for each padded key its row
        among all rows, and the slots that are no padding."""
        groups: list[list[int]] = []
        widths = self.widths
        for number in sorted(range(len(widths)), key=lambda n: (-widths[n], -self._own[n])):
            wide = widths[groups[-1][0]] if groups else 0
            if not groups or wide - widths[number] > max(_SLACK, _SHARE * wide):
                groups.append([])
            groups[-1].append(number)
        first = self._starts - self._starts[0]
        buckets, asks, keys, real = [], [], [], []
        back, asked, keyed = np.empty(int(self._own.sum()), np.int64), 0, 0
        for group in groups:
            width, queries = max(widths[n] for n in group), int(self._own[group].max())
            ends = np.minimum(self._shared[group][:, None] + np.arange(queries), np.asarray(widths)[group][:, None] - 1)
            asks.append((first[group][:, None] + ends - self._shared[group][:, None]).ravel())
            for place, number in enumerate(group):
                own, rows = int(self._own[number]), self._keys(number)
                back[first[number] : first[number] + own] = asked + place * queries + np.arange(own)
                keys.append(np.pad(rows, (0, width - len(rows)), mode="edge"))
                real.append(keyed + place * width + np.arange(len(rows)))
            buckets.append(TailBucket(len(group), queries, width, torch.from_numpy(ends).to(self._device)))
            asked, keyed = asked + len(group) * queries, keyed + len(group) * width
        index = (np.concatenate(asks), back, np.concatenate(keys), np.concatenate(real))
        return buckets, *(torch.from_numpy(array).to(self._device) for array in index)

    @property
    def buckets(self) -> list[TailBucket]:
        return self._plan[0]

    @property
    def asks_P(self) -> torch.Tensor:
        """For each padded query, its row counted from the tails' first row."""
        return self._plan[1]

    @property
    def scatter_T(self) -> torch.Tensor:
        """For each of the tails' rows, its padded query."""
        return self._plan[2]

    @property
    def keys_P(self) -> torch.Tensor:
        """For each padded key, its row."""
        return self._plan[3]

    @property
    def real_keys(self) -> torch.Tensor:
        """The padded keys that are no padding."""
        return self._plan[4]

    def masks(self, window: int | None) -> list[torch.Tensor]:
        """`allowed` of every bucket, made once for all layers."""
        if window not in self._masks:
            self._masks[window] = [bucket.allowed(window) for bucket in self.buckets]
        return self._masks[window]
