"""Keys and values of running answers, each in a slot of its own: a finished one makes place for the next prompt.

What all prompts begin with is there once, as the trunk. A slot's row begins behind it at column 0 and grows to the
right, written in place, so that rows of any length run together, none is padded and nothing is copied from step to
step. The slots in use are always the first ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers.cache_utils import Cache

from .trunk_attention import TrunkLayer, as_mask, trunk_attention

if TYPE_CHECKING:
    from transformers import PreTrainedModel

GROWTH = 64
"""Columns added at least when the longest row is full."""
TOGETHER = 8
"""Rows that attend in one call on a CPU."""


class SlotLayer(TrunkLayer):
    """One layer: keys and values [slots, K, columns, D], of which the first `lengths` columns of a slot count."""

    def __init__(self, slots: Slots, trunk: list[torch.Tensor]) -> None:
        super().__init__()
        self.slots, self.trunk = slots, trunk
        self.states: list[torch.Tensor] = []

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs):
        used, longest = len(self.slots.lengths), max(self.slots.lengths) + 1
        for states, new_BK1D in zip(self.states, (key_states, value_states), strict=True):
            states[self.slots.rows, :, self.slots.places] = new_BK1D[:, :, 0]
        return tuple(states[:used, :, :longest] for states in self.states)


class Slots:
    """At most `size` running rows of one model, behind a trunk: per layer, keys and values [1, K, P, D] or nothing."""

    def __init__(self, model: PreTrainedModel, size: int, trunk: Sequence[list[torch.Tensor]]) -> None:
        self.model, self.size = model, size
        self.lengths: list[int] = []
        self.behind = trunk[0][0].shape[2] if trunk[0] else 0
        self.cache = Cache(layers=[SlotLayer(self, states) for states in trunk])

    def add(self, layers: Sequence[Sequence[torch.Tensor]]) -> None:
        """Take a row with its own keys and values [1, K, T, D] per layer."""
        length, slot = layers[0][0].shape[2], len(self.lengths)
        self._make_room(layers, length + 1)
        self.lengths.append(length)
        for layer, row in zip(self.cache.layers, layers, strict=True):
            for states, new in zip(layer.states, row, strict=True):
                states[slot, :, :length] = new[0]

    def drop(self, slot: int) -> None:
        """Free a slot; the last row in use moves there."""
        last = len(self.lengths) - 1
        for layer in self.cache.layers if slot < last else ():
            for states in layer.states:
                states[slot, :, : self.lengths[last]] = states[last, :, : self.lengths[last]]
        self.lengths[slot] = self.lengths[last]
        self.lengths.pop()

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Feed one token to every row in use; logits [B, V] of the next."""
        device, longest = self.model.device, max(self.lengths)
        self._make_room(None, longest + 1)
        self.rows = torch.arange(len(self.lengths), device=device)
        self.places = torch.tensor(self.lengths, device=device)
        mask = None
        if min(self.lengths) < longest:
            sees = torch.arange(longest + 1, device=device)[None] <= self.places[:, None]
            mask = as_mask(sees[:, None, None], self.model.dtype)
        with trunk_attention(self.model, self.cache.layers, mask, self._parts()):
            logits_BV = self.model(
                input_ids=torch.tensor(tokens, device=device)[:, None],
                position_ids=self.behind + self.places[:, None],
                past_key_values=self.cache,
                use_cache=True,
            ).logits[:, -1]
        self.lengths = [length + 1 for length in self.lengths]
        return logits_BV

    def _parts(self) -> list[tuple[int, int, int]]:
        """(first, end, columns) of neighbouring slots: on a CPU, what only longer rows have is not even read."""
        width = TOGETHER if self.model.device.type == "cpu" else self.size
        used = len(self.lengths)
        ends = [(first, min(first + width, used)) for first in range(0, used, width)]
        return [(first, end, max(self.lengths[first:end]) + 1) for first, end in ends]

    def _make_room(self, like: Sequence[Sequence[torch.Tensor]] | None, columns: int) -> None:
        have = self.cache.layers[0].states[0].shape[2] if self.cache.layers[0].states else 0
        if columns <= have:
            return
        columns = max(columns, have + max(GROWTH, have // 8))
        for number, layer in enumerate(self.cache.layers):
            for part, old in enumerate(layer.states or like[number]):
                new = torch.zeros((self.size, old.shape[1], columns, old.shape[3]), dtype=old.dtype, device=old.device)
                if have:
                    new[:, :, :have] = old
                    layer.states[part] = new
                else:
                    layer.states.append(new)
