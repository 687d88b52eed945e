"""What a merge is refused for before anything is built: numbers of models, and knobs that the method does not read.

Light, because `plan` calls it: what a method takes is read from its source, not imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import RecipeError
from .methods import METHODS
from .params import HERE, Params


@dataclass(frozen=True, kw_only=True)
class Takes:
    """What a method takes: the fields of `method.Method` that params and the number of models are checked against, with
    the same defaults."""

    knobs: frozenset[str]
    needs_base: bool = True
    models: tuple[int, int | None] = (1, None)
    weighted: bool = True


def what_it_takes(name: str) -> Takes | None:
    """By the method's source; None where that does not show its knobs."""
    found = METHODS.keywords(name)
    if "knobs" not in found:
        return None
    return Takes(**{key: found[key] for key in Takes.__dataclass_fields__ if key in found})


def check(given: Params, kinds: Mapping[str, Sequence[str]]) -> None:
    """RecipeError unless the models, and what is listed by model, fit the method and each other."""
    models = len(kinds.get("models", ()))
    check_counts(given, models)
    if takes := what_it_takes(given.method):
        check_models(given, takes, models)
        check_base(given.method, takes, bool(kinds.get("base")))


def check_counts(given: Params, models: int) -> None:
    """RecipeError unless every setting that is listed by model has a value for each."""
    for name in ("weights", "density", "gamma"):
        values = getattr(given, name)
        if isinstance(values, list) and len(values) != models:
            raise RecipeError(f"{name} has {len(values)} values for {models} models", where=HERE)


def check_base(name: str, method: Any, has_base: bool) -> None:
    """RecipeError if the method needs a base and there is none."""
    if method.needs_base and not has_base:
        raise RecipeError(f"{name} needs a base", where=HERE, how="Add `base: NAME` under `from:`.")


def check_models(given: Params, method: Any, models: int) -> None:
    """RecipeError unless `method` (a Method or Takes) can merge so many models with these settings."""
    if given.slices is None:
        check_number(given.method, method, models)
    check_counts(given, models)
    _check_unused(given, method)


def check_number(name: str, method: Any, models: int) -> None:
    """RecipeError unless the method merges so many models."""
    least, most = method.models
    if models < least or (most is not None and models > most):
        wants = f"{least}" if least == most else f"at least {least}" if models < least else f"at most {most}"
        raise RecipeError(f"{name} merges {wants} model{'s' * (wants != '1')}, not {models}", where=HERE)


def _check_unused(given: Params, method: Any) -> None:
    if given.weights is not None and not method.weighted:
        raise RecipeError(f"{given.method} has no weights, but weights were set", where=HERE, how="Remove them.")
    slices = given.slices or []
    sources = [source for part in slices for source in part.sources]
    for knob in ("density", "gamma", "epsilon", "lambda_", "k", "t", "per_row", "compat"):
        default = Params.__dataclass_fields__[knob].default
        value = getattr(given, knob)
        values = value if isinstance(value, list) else [value]
        values = [v for v in values if v != default] + [
            v for part in (*slices, *sources) if (v := getattr(part, knob, None)) is not None
        ]
        if values and knob not in method.knobs:
            reads = ", ".join(sorted(method.knobs)) or "only the weights"
            raise RecipeError(
                f"{given.method} has no {knob}, but {knob} = {value if value != default else values[0]} was set",
                where=HERE,
                how=f"Remove it. {given.method} reads: {reads}.",
            )
