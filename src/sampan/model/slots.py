"""Keys and values of running answers, each in a slot of its own: a finished one makes place for the next prompt.

A slot's row begins at column 0 and grows to the right, written in place, so that rows of any length run together, none
is padded and nothing is copied from step to step. The slots in use are always the first ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers.cache_utils import Cache, DynamicLayer

from .shared_prefix import as_mask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

GROWTH = 64
"""Columns added at once when the longest row is full."""


class SlotLayer(DynamicLayer):
    """One layer: keys and values [slots, H, columns, D], of which the first `lengths` columns of a slot count."""

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self.slots = slots
        self.states: list[torch.Tensor] = []

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs):
        used, longest = len(self.slots.lengths), max(self.slots.lengths) + 1
        for states, new_BH1D in zip(self.states, (key_states, value_states), strict=True):
            states[self.slots.rows, :, self.slots.places] = new_BH1D[:, :, 0]
        return tuple(states[:used, :, :longest] for states in self.states)


class Slots:
    """At most `size` running rows of one model."""

    def __init__(self, model: PreTrainedModel, size: int) -> None:
        config = model.config.get_text_config()
        self.model, self.size = model, size
        self.lengths: list[int] = []
        self.cache = Cache(layers=[SlotLayer(self) for _ in range(config.num_hidden_layers)])

    def add(self, layers: Sequence[Sequence[torch.Tensor]]) -> None:
        """Take a row with its keys and values [1, H, T, D] per layer."""
        length, slot = layers[0][0].shape[2], len(self.lengths)
        self.lengths.append(length)
        self._make_room(layers, max(self.lengths) + 1)
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
        device, used = self.model.device, len(self.lengths)
        self._make_room(None, max(self.lengths) + 1)
        self.rows = torch.arange(used, device=device)
        self.places = torch.tensor(self.lengths, device=device)
        sees = torch.arange(max(self.lengths) + 1, device=device)[None] <= self.places[:, None]
        logits_BV = self.model(
            input_ids=torch.tensor(tokens, device=device)[:, None],
            position_ids=self.places[:, None],
            attention_mask=as_mask(sees[:, None, None], self.model),
            past_key_values=self.cache,
            use_cache=True,
        ).logits[:, -1]
        self.lengths = [length + 1 for length in self.lengths]
        return logits_BV

    def _make_room(self, like: Sequence[Sequence[torch.Tensor]] | None, columns: int) -> None:
        for number, layer in enumerate(self.cache.layers):
            have = layer.states[0].shape[2] if layer.states else 0
            if columns <= have:
                return
            grown = []
            for old in layer.states or like[number]:
                shape = (self.size, old.shape[1], columns + GROWTH, old.shape[3])
                new = torch.zeros(shape, dtype=old.dtype, device=old.device)
                if have:
                    new[:, :, :have] = old
                grown.append(new)
            layer.states = grown
