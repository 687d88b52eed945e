"""MergeKit's `parameters`: what each knob is called here, and its values, gradients and filters in our spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import RecipeError, did_you_mean

NUMBERS = ("weight", "density", "gamma", "epsilon", "lambda", "t", "scale", "select_topk")
SWITCHES = ("normalize", "rescale", "nuslerp_flatten", "nuslerp_row_wise", "filter_wise")
WHOLE = ("k",)
IDLE = ("int8_mask", "max_iter", "tol")
"""Knobs about how to compute, not what: masks never cost precision here, and means on the sphere are iterated until
they stand still."""
_KNOWN = (*NUMBERS, *SWITCHES, *WHOLE, *IDLE)

_GENERAL = {"weight", "density", "normalize", "lambda"}
READS: Mapping[str, set[str]] = {
    "linear": {"weight", "normalize"},
    "slerp": {"t"},
    "nuslerp": {"weight", "nuslerp_flatten", "nuslerp_row_wise"},
    "karcher": set(),
    "task_arithmetic": _GENERAL - {"density"},
    "ties": _GENERAL,
    "dare_linear": _GENERAL | {"rescale"},
    "dare_ties": _GENERAL | {"rescale"},
    "della": _GENERAL | {"rescale", "epsilon"},
    "della_linear": _GENERAL | {"rescale", "epsilon"},
    "breadcrumbs": _GENERAL | {"gamma"},
    "breadcrumbs_ties": _GENERAL | {"gamma"},
    "consensus_ta": {"weight", "normalize", "lambda", "k"},
    "consensus_ties": _GENERAL | {"k"},
    "model_stock": {"filter_wise"},
    "sce": {"select_topk"},
    "passthrough": {"scale"},
}
"""By method the knobs of MergeKit's that have an effect in it."""


class Knobs:
    """The checked `parameters` of one place in a MergeKit file."""

    def __init__(self, given: Any, where: str, file: str, method: str, notes: list[str]) -> None:
        self.where, self._file = where, file
        self._values: dict[str, Any] = {}
        if given is not None and not isinstance(given, Mapping):
            raise self.wrong(where, "a mapping is needed under the key")
        for key, value in (given or {}).items():
            name = f"{where}.{key}"
            if key not in _KNOWN:
                raise RecipeError(f"the key '{name}' is not supported", where=file, how=did_you_mean(str(key), _KNOWN))
            if key in IDLE:
                continue
            parsed = self._parse(key, value, name)
            if key == "rescale" and "rescale" not in READS.get(method, {"rescale"}):
                if parsed:
                    raise RecipeError(f"'{name}': {method} is not rescaled here", where=file, how="Remove the key.")
            elif method in READS and key not in READS[method]:
                notes.append(f"{method} does not read {name}")
            else:
                self._values[key] = parsed

    def wrong(self, key: str, says: str) -> RecipeError:
        return RecipeError(f"{says} '{key}'", where=self._file)

    def get(self, key: str) -> Any:
        return self._values.get(key)

    def _parse(self, key: str, value: Any, name: str) -> Any:
        if key in NUMBERS:
            return self._setting(value, name)
        if isinstance(value, list | Mapping):
            raise self.wrong(name, "one value for all tensors is needed under the key")
        if key in SWITCHES:
            if isinstance(value, bool) or value in (0, 1):
                return bool(value)
            raise self.wrong(name, "true or false is needed under the key")
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, "an integer is needed under the key")
        return value

    def _setting(self, value: Any, name: str) -> float | list[Any]:
        """A number, a list of numbers, or a list of rules."""
        if isinstance(value, Mapping):
            value = [value]
        if not isinstance(value, list):
            return self._number(value, name)
        if not value:
            raise self.wrong(name, "an empty list stands under the key")
        if any(isinstance(item, Mapping) for item in value):
            return [self._rule(item, f"{name}[{i}]") for i, item in enumerate(value)]
        return [self._number(item, name) for item in value]

    def _rule(self, item: Any, name: str) -> dict[str, Any]:
        if not isinstance(item, Mapping) or "value" not in item:
            raise self.wrong(f"{name}.value", "numbers and rules are mixed in a list, or a rule lacks the key")
        for key in item:
            if key not in ("value", "filter"):
                how = did_you_mean(str(key), ("value", "filter"))
                raise RecipeError(f"the key '{name}.{key}' is not supported", where=self._file, how=how)
        value = item["value"]
        parsed = (
            [self._number(v, f"{name}.value") for v in value]
            if isinstance(value, list) and value
            else self._number(value, f"{name}.value")
        )
        return {"value": parsed, "filter": str(item.get("filter") or "")}

    def _number(self, value: Any, name: str) -> float:
        if not isinstance(value, bool):
            try:
                return float(value)  # YAML 1.1 reads 1e-3 as text
            except (TypeError, ValueError):
                pass
        raise self.wrong(name, "a number is needed under the key")


def first_of(key: str, places: Sequence[Knobs]) -> Any:
    """A knob's setting where the earlier of several places count before the later; None if no place has it.

    Rules without a match leave the knob to the next place, so its rules, or its value as a last rule, are appended.
    """
    rules: list[dict[str, Any]] = []
    for place in places:
        value = place.get(key)
        if value is None:
            continue
        if not isinstance(value, list) or not isinstance(value[0], Mapping):
            return [*rules, {"value": value, "filter": ""}] if rules else value
        rules += value
        if any(rule["filter"] in ("", "*") for rule in value):
            break
    return rules or None


def is_total(setting: Any) -> bool:
    """Whether a setting has a value for every tensor, whatever its name."""
    rules = [item for item in setting if isinstance(item, Mapping)] if isinstance(setting, list) else []
    return setting is not None and (not rules or any(rule["filter"] in ("", "*") for rule in rules))
