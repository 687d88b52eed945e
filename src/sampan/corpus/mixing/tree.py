"""Ratios of groups and of their members, down to a budget for every source.

A group divides what it is given among its members, which are sources or further groups. Where a source is used up to
its limit, the rest goes to its siblings, and only when a whole group is used up does it go to the group's siblings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from ...core.errors import RecipeError, did_you_mean
from .exact import fill, sharpened, whole

ROOT = ""
"""The group of everything, which the others belong to."""


class Division(Protocol):
    """How a group divides: the weight of each member, times its size to the power alpha."""

    members: Mapping[str, float]
    alpha: float


@dataclass(frozen=True)
class Supply:
    """What there is of one source, and the most that may be used of it, in the same unit."""

    available: int
    limit: Fraction


@dataclass(frozen=True)
class Part:
    """One source's place in the mixture. `asked` is what the ratios say, `budget` what its limit and others' allow."""

    groups: tuple[str, ...]
    share: Fraction
    asked: Fraction
    budget: int


class Tree:
    """Groups over sources; RecipeError unless every group and every source has exactly one place in it."""

    def __init__(self, groups: Mapping[str, Division], supplies: Mapping[str, Supply]) -> None:
        self._groups, self._supplies = groups, supplies
        self._check()

    def shares(self) -> dict[str, tuple[tuple[str, ...], Fraction]]:
        """For every source the groups above it and its share of everything, as the ratios say, limits apart."""
        return dict(self._shares(ROOT, Fraction(1), ()))

    def largest(self) -> int:
        """The largest budget with which no source goes over its limit."""
        return int(min(self._supplies[name].limit / share for name, (_, share) in self.shares().items() if share))

    def budgets(self, budget: int) -> dict[str, Part]:
        """Every source's part; the budgets sum to `budget`. RecipeError if all sources together do not hold so much."""
        room = self._limit(ROOT)
        if budget > room:
            raise RecipeError(
                f"the budget of {budget:,} is {budget - int(room):,} more than the {int(room):,} that all sources give "
                "when each is repeated as often as max_epochs allows",
                where="budget",
                how="Lower the budget, raise max_epochs or add text.",
            )
        filled = dict(self._fill(ROOT, Fraction(budget)))
        numbers = whole(filled, budget)
        return {
            name: Part(groups, share, share * budget, numbers[name])
            for name, (groups, share) in sorted(self.shares().items())
        }

    def _weights(self, group: str) -> dict[str, Fraction]:
        division = self._groups[group]
        return {name: sharpened(weight, self._size(name), division.alpha) for name, weight in division.members.items()}

    def _size(self, name: str) -> int:
        if name in self._groups:
            return sum(self._size(member) for member in self._groups[name].members)
        return self._supplies[name].available

    def _limit(self, name: str) -> Fraction:
        """The most that a source or group may give; a member of weight 0 gives nothing."""
        if name in self._groups:
            return sum((self._limit(m) for m, weight in self._groups[name].members.items() if weight), Fraction(0))
        return self._supplies[name].limit

    def _shares(
        self, group: str, share: Fraction, above: tuple[str, ...]
    ) -> Iterator[tuple[str, tuple[tuple[str, ...], Fraction]]]:
        weights = self._weights(group)
        total = sum(weights.values())
        for name, weight in weights.items():
            part = share * weight / total
            if name in self._groups:
                yield from self._shares(name, part, (*above, name))
            else:
                yield name, (above, part)

    def _fill(self, group: str, amount: Fraction) -> Iterator[tuple[str, Fraction]]:
        weights = self._weights(group)
        for name, part in fill(amount, weights, {name: self._limit(name) for name in weights}).items():
            if name in self._groups:
                yield from self._fill(name, part)
            else:
                yield name, part

    def _check(self) -> None:
        owner: dict[str, str] = {}
        for group, division in self._groups.items():
            where = f"groups.{group}" if group else "shares"
            if not any(division.members.values()):
                raise RecipeError("the group has no member with a weight", where=where, how="Name its sources.")
            for name, weight in division.members.items():
                if not weight >= 0:
                    raise RecipeError(f"the weight of '{name}' is {weight}; it must be 0 or more", where=where)
                if name not in self._groups and name not in self._supplies:
                    known = {*self._groups, *self._supplies} - {ROOT}
                    raise RecipeError(
                        f"there is no source or group '{name}'", where=where, how=did_you_mean(name, known)
                    )
                if name in owner:
                    raise RecipeError(f"'{name}' is in two groups, '{owner[name]}' too", where=where)
                owner[name] = group
                if weight and name in self._supplies and not self._supplies[name].available:
                    raise RecipeError(
                        f"no document belongs to source '{name}'", where=where, how="Set its weight to 0."
                    )
        reached = set(self._reach(ROOT))
        for name in sorted({*self._groups, *self._supplies} - reached):
            what = "group" if name in self._groups else "source"
            raise RecipeError(f"the {what} '{name}' is in no group that `shares` leads to", where="groups")

    def _reach(self, name: str) -> Iterator[str]:
        yield name
        for member in self._groups[name].members if name in self._groups else ():
            yield from self._reach(member)
