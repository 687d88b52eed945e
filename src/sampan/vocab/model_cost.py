"""What a vocabulary costs in a decoder-only model of a given shape: parameters, and work for each token.

Counts follow Kaplan et al. 2020 (arXiv:2001.08361, §2.1): 2 FLOPs per weight and token forwards, three times that in
training; looking up an embedding row costs none. Writing an answer reads every one of these weights for each token, so
that cost has the same ratio. Attention over the context is left out: where a text takes fewer tokens it shrinks more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a Llama-like model. `kv_size`: width of its keys and values; `tied`: one matrix for input and head."""

    hidden_size: int
    num_layers: int
    intermediate_size: int
    kv_size: int
    tied: bool

    @property
    def body(self) -> int:
        """Weights of all layers: attention (query, key, value, output) and the gated MLP's three matrices."""
        attention = 2 * self.hidden_size * (self.hidden_size + self.kv_size)
        return self.num_layers * (attention + 3 * self.hidden_size * self.intermediate_size)

    def vocabulary(self, size: int) -> int:
        """Weights of embedding and head at `size` tokens."""
        return (1 if self.tied else 2) * self.hidden_size * size

    def flops(self, size: int) -> int:
        """Forward FLOPs per token at `size` tokens; training takes three times as many."""
        return 2 * (self.body + self.hidden_size * size)


def shape_of(config: Mapping[str, Any], *, where: str) -> Shape:
    """The shape that a Hugging Face config.json states; InputError if it lacks a size."""
    try:
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        head_dim = int(config.get("head_dim") or hidden // heads)
        return Shape(
            hidden_size=hidden,
            num_layers=int(config["num_hidden_layers"]),
            intermediate_size=int(config["intermediate_size"]),
            kv_size=head_dim * int(config.get("num_key_value_heads") or heads),
            tied=bool(config.get("tie_word_embeddings", False)),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(f"config.json does not state the model's shape ({error})", where=where) from None
