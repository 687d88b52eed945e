"""Size and shape of a model as far as forecasts need them: given by its config, or guessed from its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_VOCABULARY = 128_000
"""Rows of the embeddings while unknown."""


@dataclass(frozen=True)
class Shape:
    """`attention` is heads × their width, `looked_up` the parameters of an input embedding that is not the head too:
    its rows are looked up, not multiplied."""

    parameters: float
    width: float
    layers: float
    attention: float
    vocabulary: float = _VOCABULARY
    looked_up: float = 0.0

    def token_flops(self, context_len: int) -> float:
        """FLOPs of training on one token: six for each parameter that it is multiplied with, and causal attention,
        which looks at half the context."""
        return 6 * (self.parameters - self.looked_up) + 12 * self.layers * self.attention * context_len / 2


def guessed(parameters: float) -> Shape:
    """From the size alone: parameters ≈ 12 · layers · width², width ≈ 128 · layers."""
    width = (parameters * 128 / 12) ** (1 / 3)
    return Shape(parameters, width, width / 128, width)


def shape_of(fact: Mapping[str, float], *, default: float = 0.0) -> Shape:
    """Of a model's facts, or a forecast that carries them; guessed where they are not there."""
    parameters = fact.get("parameters") or default
    if not fact.get("hidden_size") or not fact.get("num_layers"):
        return guessed(parameters)
    width, vocabulary = fact["hidden_size"], fact.get("vocab_size", _VOCABULARY)
    return Shape(
        parameters,
        width,
        fact["num_layers"],
        fact.get("attention_size", width),
        vocabulary,
        0.0 if fact.get("tied", True) else vocabulary * width,
    )
