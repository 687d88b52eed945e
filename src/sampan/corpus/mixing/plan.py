"""From the sizes that were counted and the ratios that were asked for to a budget for every bucket of every source."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...core.errors import InputError, RecipeError, did_you_mean
from ...lang.codes import normalise_code
from .buckets import bucket_shares, towards_head
from .exact import exact, fill, whole
from .tree import ROOT, Part, Supply, Tree


@dataclass(frozen=True)
class Bucket:
    """What one quality bucket of a source holds and what of it goes into the mixture."""

    available: int
    budget: int


@dataclass(frozen=True)
class Budget:
    """The plan of one source."""

    part: Part
    buckets: dict[str, Bucket]


@dataclass(frozen=True)
class _Division:
    members: dict[str, float]
    alpha: float


def plan_mixture(params: Any, cells: Mapping[tuple[str, str], int]) -> tuple[dict[str, Budget], dict[str, str]]:
    """Budgets of all sources, and for each counted name (a source's, or `N/LANGUAGE`) the source that it belongs to.

    `cells` are sizes by (counted name, quality). RecipeError for names that fit nothing or for a budget that cannot be
    met, InputError for a quality that `quality_shares` leaves out.
    """
    names = {source.name for source in params.sources}
    counted = sorted({name for name, _ in cells})
    shares = params.shares or dict.fromkeys(sorted({name.partition("/")[2] for name in counted} - {""}), 1.0)
    if not params.shares and params.sources:
        raise RecipeError("`sources` are named and `shares` is empty", where="shares", how="Give every source a share.")
    if not shares:
        raise InputError(
            "no document has a language to share by" if cells else "there is no document to mix",
            how="Give `shares`, or run corpus.clean first, which finds languages." if cells else "",
        )
    groups = {ROOT: _Division(dict(shares), params.alpha)}
    groups |= {name: _Division(dict(group.members), group.alpha) for name, group in params.groups.items()}
    owner = _owners(groups, names, counted)
    sizes: dict[str, Counter[str]] = {name: Counter() for name in {*names, *owner.values()}}
    for (name, quality), size in cells.items():
        if name in owner:
            sizes[owner[name]][quality] += size
    _check_qualities(params, sizes)
    shares_by = {name: _bucket_shares(params, name, size) for name, size in sizes.items()}
    supplies = {name: _supply(params, name, sizes[name], shares_by[name]) for name in sizes}
    parts = _parts(params, Tree(groups, supplies))
    limit = {source.name: source.max_epochs for source in params.sources}
    return {
        name: Budget(part, _buckets(part.budget, sizes[name], shares_by[name], limit.get(name) or params.max_epochs))
        for name, part in parts.items()
    }, owner


def _owners(groups: Mapping[str, _Division], names: set[str], counted: list[str]) -> dict[str, str]:
    """Counted name to source, by every member that is neither a named source nor a group."""
    owner = {name: name for name in counted if name in names}
    known = {*groups, *names, *counted, *(name.partition("/")[2] for name in counted)} - {ROOT, ""}
    for group, division in groups.items():
        for member in [*division.members]:
            if member in groups or member in names:
                continue
            found = [name for name in counted if name not in names and _fits(member, name)]
            if not found:
                raise RecipeError(
                    f"there is no source, group or language '{member}' in the documents",
                    where=f"groups.{group}" if group else "shares",
                    how=did_you_mean(member, known),
                )
            for name in found:
                if name in owner:
                    raise RecipeError(f"documents of {name} belong to both '{owner[name]}' and '{member}'", where=group)
                owner[name] = member
    return owner


def _fits(member: str, counted: str) -> bool:
    number, _, language = counted.partition("/")
    if member in (counted, language, f"{number}/*"):
        return True
    if "/" in member:
        return False
    try:
        return normalise_code(member) == language
    except RecipeError:
        return False


def _check_qualities(params: Any, sizes: Mapping[str, Mapping[str, int]]) -> None:
    """RecipeError if the params on quality fit no source at all, and so would do nothing."""
    marks = sorted({quality for counts in sizes.values() for quality, size in counts.items() if size and quality})
    how = f"The documents have: {', '.join(marks)}." if marks else "No document has one: run corpus.quality first."
    if params.quality_shares and not set(params.quality_shares) & set(marks):
        raise RecipeError("no document has a quality that is named here", where="quality_shares", how=how)
    if params.upsample_head and not any(s.get(params.head) and s.get(params.tail) for s in sizes.values()):
        raise RecipeError(
            f"no source has both a head ('{params.head}') and a tail ('{params.tail}')", where="upsample_head", how=how
        )


def _bucket_shares(params: Any, name: str, sizes: Mapping[str, int]) -> dict[str, Fraction]:
    fixed = params.quality_shares
    if fixed and not set(sizes) & set(fixed):
        fixed = {}  # a source without quality marks is one bucket
    strange = sorted(set(sizes) - set(fixed)) if fixed else []
    if strange:
        raise InputError(
            f"documents of source {name} have the quality '{strange[0]}', which quality_shares does not name",
            how=f"Give it a share, or 0; known: {', '.join(sorted(fixed))}.",
        )
    if not sum(sizes[quality] * bool(fixed.get(quality, 1)) for quality in sizes):
        return {}
    shares = bucket_shares(sizes, fixed)
    return towards_head(shares, sizes, params.head, params.tail) if params.upsample_head else shares


def _supply(params: Any, name: str, sizes: Mapping[str, int], shares: Mapping[str, Fraction]) -> Supply:
    own = {source.name: source.max_epochs for source in params.sources}.get(name)
    used = sum(sizes[quality] for quality, share in shares.items() if share)
    limits = [_limit(sizes[quality], own or params.max_epochs) for quality, share in shares.items() if share]
    return Supply(used, sum(limits, Fraction(0)))


def _limit(size: int, max_epochs: float) -> Fraction:
    """The most that may be used of so much, a whole number."""
    return Fraction(math.floor(size * exact(max_epochs)))


def _parts(params: Any, tree: Tree) -> dict[str, Part]:
    if not math.isfinite(params.budget) or params.budget != int(params.budget):
        raise RecipeError(f"the budget is {params.budget}, not a whole number", where="budget")
    budget = int(params.budget) or tree.largest()
    parts = tree.budgets(budget)
    if params.overflow == "refuse":
        for name, part in parts.items():
            if part.budget < math.floor(part.asked):
                raise RecipeError(
                    f"source '{name}' should give {math.floor(part.asked):,} and gives at most {part.budget:,}, "
                    f"{math.floor(part.asked) - part.budget:,} less",
                    where="shares",
                    how=f"A budget of {tree.largest():,} keeps every ratio; or set `overflow: redistribute`.",
                )
    return parts


def _buckets(
    budget: int, sizes: Mapping[str, int], shares: Mapping[str, Fraction], max_epochs: float
) -> dict[str, Bucket]:
    limits = {quality: _limit(sizes[quality], max_epochs) for quality in shares}
    numbers = whole(fill(Fraction(budget), shares, limits), budget)
    return {quality: Bucket(size, numbers.get(quality, 0)) for quality, size in sorted(sizes.items())}
