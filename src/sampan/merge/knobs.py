"""Knobs that may differ by tensor: a number, a gradient over the layers, or rules by tensor name.

The rules are MergeKit's, so that its files mean here what they mean there.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import RecipeError
from ..core.params import params


@params
class Rule:
    value: float | list[float]
    """The knob's value, or its gradient over the layers."""
    filter: str = ""
    """The rule holds for tensors whose name contains this; "" and "*" hold for all."""

    def holds(self, tensor: str) -> bool:
        return self.filter in ("", "*") or self.filter in tensor


Setting = float | list[float | Rule]
"""A number; a list of numbers, spread evenly over the layers and interpolated between; or rules, of which the first
that holds for a tensor counts."""


def value_at(setting: Setting, tensor: str, depth: float) -> float | None:
    """The knob's value for `tensor`, which lies at `depth` (0 the first layer … 1 the last; 0 outside the layers).

    None if no rule holds. RecipeError for an empty list or one that mixes numbers and rules.
    """
    if not isinstance(setting, list):
        return setting
    rules = [item for item in setting if isinstance(item, Rule)]
    if not setting or (rules and len(rules) < len(setting)):
        raise RecipeError("a knob's list must hold numbers (a gradient) or rules with `value`, and not be empty")
    if not rules:
        return _gradient(setting, depth)
    found = next((rule.value for rule in rules if rule.holds(tensor)), None)
    return _gradient(found, depth) if isinstance(found, list) else found


def _gradient(values: Sequence[float], depth: float) -> float:
    if not values:
        raise RecipeError("a gradient needs at least one number")
    at = depth * (len(values) - 1)
    low = int(at)
    share = at - low
    return (1 - share) * values[low] + share * values[min(low + 1, len(values) - 1)]
