"""Which languages get how many pieces, in which script, under which guard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import StageError
from ..lang.scripts import WRITTEN_IN
from .guard import Guard, alphabet
from .selection import Sample, normalised

if TYPE_CHECKING:
    from .expand import Params


@dataclass(frozen=True)
class Plan:
    """One language to add and the guard on its pieces."""

    language: str
    guard: Guard


def script_of(language: str) -> str:
    """The Unicode script of a language code (tha_Thai → Thai; zho_Hans → Hani)."""
    script = language.partition("_")[2]
    return WRITTEN_IN.get(script, script)


def plan_languages(params: Params, found: Mapping[str, Sample]) -> list[Plan]:
    """The languages to add in order of code; StageError if none is left or a named one has no documents."""
    kept = set(normalised(params.keep_languages))
    named = normalised(params.languages)
    missing = [language for language in (*named, *normalised(params.budgets)) if language not in found]
    if missing:
        raise StageError(f"no document in {missing[0]}", how=f"The documents are in {', '.join(found)}.")
    shared = {script_of(language) for language in kept}
    plans = []
    for language, sample in found.items():
        script = script_of(language)
        if language in kept or (named and language not in named) or not sample.learn:
            continue
        if params.scripts and script not in params.scripts:
            continue
        if script not in shared:
            plans.append(Plan(language, Guard(script)))
        elif params.shared_script == "distinct":
            plans.append(Plan(language, Guard(script, alphabet(protected_texts(params, found), script))))
        elif params.shared_script == "verified":
            if not protected_texts(params, found):
                raise StageError(
                    "`shared_script: verified` compares with documents of the kept languages, and there are none",
                    how=f"Add documents in {', '.join(sorted(kept))}, or use `shared_script: distinct`.",
                )
            plans.append(Plan(language, Guard(script, free=True)))
    if not plans:
        raise StageError(
            "no language to add",
            how=f"The documents are in {', '.join(found)}; kept: {', '.join(sorted(kept)) or 'none'}.",
        )
    return plans


def protected_texts(params: Params, found: Mapping[str, Sample]) -> list[str]:
    """All texts of the kept languages."""
    kept = normalised(params.keep_languages)
    return [text for language in kept if language in found for text in found[language].texts]


def budget_of(params: Params, waiting: Sequence[str], room: int) -> int:
    """Pieces the first of `waiting` may add: its own budget, or an equal share of what booked budgets leave."""
    budgets = dict(zip(normalised(params.budgets), params.budgets.values(), strict=True))
    if waiting[0] in budgets:
        return min(budgets[waiting[0]], room)
    booked = sum(budgets.get(language, 0) for language in waiting)
    sharing = sum(language not in budgets for language in waiting)
    return max((room - booked) // sharing, 0)
