"""From a merge's params to the filled-in `Settings` of each tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.errors import RecipeError
from .knobs import Setting, value_at
from .method import Method, Settings
from .params import HERE, Params, Slice, Source
from .refusals import check_models, check_number

_PER_MODEL = ("density", "gamma")
_OFF = {"density": 1.0, "gamma": 0.01, "weight": 1.0}


class Filler:
    """Fills in the settings of one tensor after another; RecipeError for a knob that is out of range or unused."""

    def __init__(self, given: Params, method: Method, models: int) -> None:
        self._given, self._method, self._models = given, method, models
        self._weights: list[Setting] = given.weights if given.weights is not None else [1.0] * models
        self._each = {name: _listed(getattr(given, name), models) for name in _PER_MODEL}
        check_models(given, method, models)

    def fill(
        self,
        tensor: str,
        depth: float = 0.0,
        *,
        models: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        part: Slice | None = None,
        sources: Sequence[Source] = (),
    ) -> Settings:
        """Settings of the tensor `tensor` at `depth`.

        With slices, `models` are the places of its models in the params' lists, `names` its names in them, and `part`
        and `sources` the slice and the sources with knobs of their own.
        """
        given, method = self._given, self._method
        models = range(self._models) if models is None else models
        names = [tensor] * len(models) if names is None else names
        own = sources or [None] * len(models)
        check_number(given.method, method, len(models))

        def each(knob: str, values: Sequence[Setting]) -> tuple[float, ...]:
            found = []
            for model, name, source in zip(models, names, own, strict=True):
                special = getattr(source, knob, None)
                value = value_at(special, name, depth) if special is not None else None
                value = value_at(values[model], name, depth) if value is None else value
                if value is None and knob == "weight":
                    raise RecipeError(f"no rule of the weights holds for tensor '{name}'", where=HERE)
                found.append(_OFF[knob] if value is None else float(value))
            return tuple(found)

        def shared(knob: str, default: float) -> float:
            special = getattr(part, knob, None)
            value = value_at(special, tensor, depth) if special is not None else None
            value = value_at(getattr(given, knob), tensor, depth) if value is None else value
            return default if value is None else float(value)

        settings = Settings(
            weights=each("weight", self._weights),
            density=each("density", self._each["density"]),
            gamma=each("gamma", self._each["gamma"]),
            epsilon=shared("epsilon", 0.15),
            lambda_=shared("lambda_", 1.0),
            t=shared("t", 0.5),
            k=given.k,
            normalize=bool(method.normalize) if given.normalize is None else given.normalize,
            per_row=given.per_row,
            norm_rescale=given.compat == "mergekit",
        )
        self._check_ranges(settings)
        return settings

    def _check_ranges(self, settings: Settings) -> None:
        given, method = self._given, self._method
        if not all(1 / 65536 <= d <= 1 for d in settings.density):
            wrong = next(d for d in settings.density if not 1 / 65536 <= d <= 1)
            raise RecipeError(f"density = {wrong:g} must be above 0 (at least 1/65536) and at most 1", where=HERE)
        if not all(0 <= g < 1 for g in settings.gamma):
            raise RecipeError(f"gamma = {given.gamma} must be at least 0 and below 1", where=HERE)
        if given.method == "sce" and len(set(settings.density)) > 1:
            raise RecipeError("sce has one density for all models", where=HERE)
        if method.positive and (min(settings.weights) < 0 or sum(settings.weights) <= 0):
            raise RecipeError(f"{given.method} takes no weights below zero, and not only zeros", where=HERE)
        if "epsilon" in method.knobs:
            for d in settings.density:
                if d < 1 and not 0 <= settings.epsilon < min(d, 1 - d):
                    raise RecipeError(
                        f"epsilon = {settings.epsilon} does not fit density = {d}: keep probabilities would leave "
                        "(0, 1)",
                        where=HERE,
                        how=f"Take an epsilon below {min(d, 1 - d):g}.",
                    )


def _listed(value: Any, models: int) -> list[Setting]:
    return value if isinstance(value, list) else [value] * models
