"""A rule: one statistic of a text, one limit, and the reason to drop what is beyond it. A filter is a list of rules."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .filters import FILTERS
from .verdict import KEEP, Verdict, drop
from .view import TextView


@dataclass(frozen=True)
class Rule:
    """`limit` names a field of `lang.thresholds.Thresholds`: `min_…` is a least value, `max_…` a most."""

    reason: str
    limit: str
    statistic: Callable[[TextView], float | None]
    """The number; None where it says nothing, such as a share of lines in a text of two."""
    least: bool = field(init=False)
    """Whether the limit is a least value."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "least", self.limit.startswith("min_"))


def judge(view: TextView, rules: Sequence[Rule]) -> Verdict:
    """The verdict of the first rule that a text breaks. A rule whose limit is None is not computed."""
    for rule in rules:
        bound = getattr(view.limits, rule.limit)
        if bound is None:
            continue
        value = rule.statistic(view)
        if value is not None and (value < bound if rule.least else value > bound):
            return drop(rule.reason)
    return KEEP


def rules_of(filters: Sequence[str]) -> list[Rule]:
    """The rules of filters by name, in order; a filter without RULES, such as `encoding`, has none to give."""
    modules = (importlib.import_module(FILTERS[name].partition(":")[0]) for name in filters)
    return [rule for module in modules for rule in getattr(module, "RULES", ())]
