"""Grow, weed and hold: the loop that fills a budget with pieces that are used and that leave kept text in place."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from .growth import Growth
from .joint import Limits, grow_together, refill
from .kept import Kept, counted, hold
from .plan import Plan
from .runs import Runs, collect
from .selection import Sample
from .targets import Target, adjusted
from .usage import attribute, cheapest, rare, savings, usage

_SWAPS = 2
_SWAP_SHARE = 0.06
_MAX_REACHES = 8
_REFILLS = 2
_WORTH_A_REFILL = 0.01


class Grower:
    """Grows `growth` for groups of languages. `dropped`: pieces taken out again by reason; `silent`: languages none of
    whose text is in their script."""

    def __init__(
        self,
        growth: Growth,
        kept: Sequence[Kept],
        limits: Limits,
        *,
        max_kept_change: float,
        balance: float,
        repeats: float,
        targets: Sequence[Target] = (),
    ) -> None:
        self.growth, self.kept, self.limits, self.targets = growth, kept, limits, targets
        self.max_kept_change, self.balance, self.repeats = max_kept_change, balance, repeats
        self.dropped: Counter[str] = Counter()
        self.silent: list[str] = []
        self._refused: set[str] = set()
        self._kept_chars = {char for some in kept for text in some.texts for char in text}

    def settle(self) -> None:
        """Check that kept text is in place before anything has grown (a repaired word expression may move it)."""
        hold(self.growth, self.kept, self.max_kept_change, dict)

    def grow(self, plans: Sequence[Plan], found: Mapping[str, Sample], budget: int) -> dict[str, int]:
        """Add at most `budget` pieces for the languages of `plans`; returns the number added for each language."""
        tables = [self._collect(plan, found[plan.language]) for plan in plans]
        tables = [runs for runs in tables if runs.texts]
        if not tables or budget < 1:
            return {}
        before = set(self.growth.pieces)
        strict = {plan.language: plan.strict for plan in plans}
        for first in (True, *[False] * _REFILLS):
            room = budget - (len(self.growth.pieces) - len(before))
            if first:
                grow_together(self.growth, tables, room, self.limits, self._refused)
                self._exchange(tables, before, budget)
            else:
                refill(self.growth, tables, room, self.limits, self._refused)
            self._weed(tables, before)
            missing = budget - (len(self.growth.pieces) - len(before))
            if missing <= _WORTH_A_REFILL * budget:
                break
            # What kept text has no room for is filled with pieces that it cannot contain.
            tables = [dataclasses.replace(runs, guard=strict[runs.language]) for runs in tables]
        return self._attribute(tables, before)

    def _collect(self, plan: Plan, sample: Sample) -> Runs:
        runs = collect(
            self.growth, plan.guard, plan.language, sample.by_source, self._kept_chars, self.balance, self.repeats
        )
        if not runs.texts:
            self.silent.append(plan.language)
        return runs

    def _exchange(self, tables: Sequence[Runs], before: set[str], budget: int) -> None:
        """Exchange pieces, with weights that follow the targets: as long as these ask for it, and twice at least."""
        given = self.limits.weights
        targets = [target for target in self.targets if target.language in {runs.language for runs in tables}]
        for number in range(_SWAPS + (_MAX_REACHES if targets else 0)):
            weights = adjusted(self.limits.weights, given, targets, self.growth.build()) if targets else given
            if number >= _SWAPS and weights == self.limits.weights:
                break
            self.limits = dataclasses.replace(self.limits, weights=weights)
            self._swap(tables, before, budget)

    def _swap(self, tables: Sequence[Runs], before: set[str], budget: int) -> None:
        """Exchange the pieces that save least for what the text, cut by all others, asks for now: early merges are
        chosen before anyone knows what later ones leave of them."""
        used = usage(self.growth, tables, self.limits.weights)
        self.growth.drop(cheapest(self.growth, used, int(_SWAP_SHARE * budget), before))
        refill(self.growth, tables, budget - (len(self.growth.pieces) - len(before)), self.limits, self._refused)

    def _weed(self, tables: Sequence[Runs], before: set[str]) -> None:
        """Take out what is hardly used, cannot be reached or moves kept text too far."""
        used = usage(self.growth, tables, self.limits.weights)
        value = savings(self.growth, used)
        idle = [piece for piece in rare(self.growth, used, self.limits.min_frequency) if piece not in before]
        self.growth.drop(idle)
        gone = hold(self.growth, self.kept, self.max_kept_change, lambda: value)
        self._refused |= {*idle, *(piece for pieces in gone.values() for piece in pieces)}
        self.dropped += counted({"rare": idle, **gone})

    def _attribute(self, tables: Sequence[Runs], before: set[str]) -> dict[str, int]:
        used = usage(self.growth, tables, self.limits.weights)
        attribute(self.growth, used, [runs.language for runs in tables], before)
        return Counter(self.growth.language_of[piece] for piece in self.growth.pieces if piece not in before)
