"""What a recipe says of its inputs: where each is, what it is, and what is known of it before it is here."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from ..core.errors import RecipeError, did_you_mean
from ..core.params import params, parse_params

TEXT = ("documents", "text_bytes", "tokens")
"""Facts of text, conversations and preferences."""
MODEL = ("parameters", "vocab_size", "hidden_size", "num_layers", "attention_size", "kv_heads", "tied", "window")
"""Facts of a model: its size and shape; `attention_size` is heads × their width, `kv_heads` those of keys and
values, `tied` 1 where input and output embeddings are one matrix, `window` the longest sequence that it reads, in
tokens."""
_BYTES_PER_TOKEN = 3.5
"""Over the region's languages; as in corpus.pack."""


@params
class Given:
    """One input: a spec alone, or this mapping."""

    at: str | None = None
    """Where it is: file:, dir:, url:, hf:…@commit; nothing where whoever runs the recipe must say."""
    about: str = ""
    """What it is and where it can be had, in a sentence, for whoever must give it."""
    facts: dict[str, float] = field(default_factory=dict)
    """What is known of it, for forecasts while it is not here: any of TEXT and MODEL."""

    def __post_init__(self) -> None:
        known = (*TEXT, *MODEL)
        for name in self.facts:
            if name not in known:
                raise ValueError(f"facts has no '{name}'. {did_you_mean(name, known)}")

    def forecast(self) -> dict[str, float]:
        """The facts, with the bytes of text that so many tokens are about."""
        tokens = self.facts.get("tokens")
        return {**({"text_bytes": _BYTES_PER_TOKEN * tokens} if tokens else {}), **self.facts}


def read_input(value: Any, name: str, *, where: str) -> Given:
    """An input as written; RecipeError for anything but a spec, nothing, or a mapping of Given."""
    if value is None or isinstance(value, str):
        return Given(at=value)
    if not isinstance(value, dict):
        raise RecipeError(f"input '{name}' must be a string like dir:PATH, or a mapping with `at:`", where=where)
    return parse_params(Given, value, where=f"{where}, input '{name}'")


def input_spec(value: Any) -> Any:
    """The spec within an input as written."""
    return value.get("at") if isinstance(value, dict) else value


def set_input(value: Any, spec: str) -> Any:
    """The input as written with another spec; what is said of it stays."""
    return {**value, "at": spec} if isinstance(value, dict) else spec
