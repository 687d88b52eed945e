"""Which languages get how many pieces, in which script, under which guard."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import StageError
from ..lang.scripts import WRITTEN_IN
from .guard import Guard, alphabet
from .selection import Sample, normalised

if TYPE_CHECKING:
    from .expand import Params


@dataclass(frozen=True)
class Plan:
    """One language to add, the guard on its pieces, and the guard under which kept text is provably untouched."""

    language: str
    guard: Guard
    strict: Guard


def script_of(language: str) -> str:
    """The Unicode script of a language code (tha_Thai → Thai; zho_Hans → Hani)."""
    script = language.partition("_")[2]
    return WRITTEN_IN.get(script, script)


def plan_languages(params: Params, found: Mapping[str, Sample]) -> list[Plan]:
    """The languages to add in order of code; StageError if none is left or a named one has no documents."""
    kept = set(normalised(params.keep_languages))
    named = normalised(params.languages)
    missing = [
        language
        for language in (
            *named,
            *(code for given in (params.budgets, params.weights, params.targets) for code in normalised(given)),
        )
        if language not in found
    ]
    if missing:
        raise StageError(f"no document in {missing[0]}", how=f"The documents are in {', '.join(found)}.")
    shared = {script_of(language) for language in kept}
    kept_texts = protected_texts(params, found)
    mode = params.shared_script
    if mode == "auto":
        mode = "verified" if any(kept_texts.values()) else "distinct"
    if mode == "verified" and not any(kept_texts.values()):
        raise StageError(
            "`shared_script: verified` compares with documents of the kept languages, and there are none",
            how=f"Add documents in {', '.join(sorted(kept))}, or use `shared_script: distinct`.",
        )
    plans = []
    for language, sample in found.items():
        script = script_of(language)
        if language in kept or (named and language not in named) or not sample.learn:
            continue
        if params.scripts and script not in params.scripts:
            continue
        if script not in shared:
            plans.append(Plan(language, Guard(script), Guard(script)))
        elif mode != "skip":
            strict = Guard(script, alphabet(itertools.chain.from_iterable(kept_texts.values()), script))
            plans.append(Plan(language, Guard(script, free=True) if mode == "verified" else strict, strict))
    if not plans:
        raise StageError(
            "no language to add",
            how=f"The documents are in {', '.join(found)}; kept: {', '.join(sorted(kept)) or 'none'}.",
        )
    together = {plan.language for plan in plans} - set(normalised(params.budgets))
    if aimless := set(normalised(params.targets)) - together:
        raise StageError(
            f"{min(aimless)} has a target and does not grow together with others",
            how="Targets move what languages share; these share: " + (", ".join(sorted(together)) or "none") + ".",
        )
    return plans


def protected_texts(params: Params, found: Mapping[str, Sample]) -> dict[str, list[str]]:
    """All texts of the kept languages, by language."""
    kept = normalised(params.keep_languages)
    return {language: found[language].texts for language in kept if language in found}


def by_code(values: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter by language, with full codes."""
    return dict(zip(normalised(values), values.values(), strict=True))


def groups(params: Params, plans: Sequence[Plan], room: int) -> list[tuple[list[Plan], int]]:
    """Plans that grow together and the pieces they may add: each language with a budget by itself, then the rest
    together in what is left of `room`."""
    budgets = by_code(params.budgets)
    out: list[tuple[list[Plan], int]] = []
    for plan in plans:
        if plan.language in budgets:
            out.append(([plan], min(budgets[plan.language], room)))
            room -= out[-1][1]
    rest = [plan for plan in plans if plan.language not in budgets]
    return [*out, (rest, room)] if rest else out
