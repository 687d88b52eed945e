"""What training refuses before anything is built: settings that do not go with each other's inputs, or with the model.

Light, because `plan` calls it; `checks` has what only the weights and the data can show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import RecipeError
from .forecast import Facts
from .settings import Optimisation

Kinds = Mapping[str, Sequence[str]]
"""Kinds of the inputs given, by role."""
_CHOSEN = ("train_only", "new_rows_from", "lora_rank", "embeddings_first")
"""Settings that choose what is trained, which the input `neurons` does too."""


def check_given(params: Optimisation, given: Kinds) -> None:
    """RecipeError for a setting that needs an input which is not there, or does not go beside one that is."""
    if params.held_out_every and not given.get("held_out"):
        raise RecipeError("held_out_every has nothing to measure", how="Give the input `held_out`.")
    if given.get("neurons"):
        for name in _CHOSEN:
            if getattr(params, name):
                raise RecipeError(f"the input `neurons` already says what is trained, and so does {name}")


def check_model(params: Any, facts: Facts) -> None:
    """RecipeError for settings that the model, as far as it is known, cannot follow: a context longer than its window,
    a learning rate for a head that it has not."""
    model = (facts.get("model") or [{}])[0]
    window = model.get("window")
    if window and params.context_len > window:
        raise RecipeError(
            f"context_len {params.context_len} is longer than the model's window of {window:.0f} tokens",
            how=f"Set context_len to at most {window:.0f}.",
        )
    if getattr(params, "head_lr_scale", None) is not None and model.get("tied"):
        raise RecipeError(
            "head_lr_scale is given, and this model's head is its embeddings",
            how="Tied weights have one learning rate: set embedding_lr_scale.",
        )
