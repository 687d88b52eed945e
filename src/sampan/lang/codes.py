"""Language codes at the border: `th`, `tha`, `th-TH` and `fil` in, `tha_Thai` and `tgl_Latn` out."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ..core.errors import RecipeError, did_you_mean
from .profile import languages, load_profile, per_profiles


@per_profiles
def _spellings() -> dict[str, str]:
    """Every accepted spelling, lower case with hyphens, to its code."""
    table = {}
    for code in languages():
        profile = load_profile(code)
        iso3, _, script = code.partition("_")
        for base in filter(None, (iso3, profile.alpha2, *profile.aliases)):
            table[base.lower()] = code
            table[f"{base}-{script}".lower()] = code
    return table


def normalise_code(code: str, *, where: str = "") -> str:
    """The profile code of any accepted spelling: ISO 639-1 or 639-3, full code, or a BCP 47 tag.

    A region (`th-TH`) is ignored; a script that is not the profile's (`zh-Hant`, `ms-Arab`) is another language.
    RecipeError with the nearest known code otherwise.
    """
    found = _found(code)
    if not found:
        how = _nearest(code, _spellings()) if code else "Give a code such as tha_Thai."
        raise RecipeError(f"there is no language '{code}'", where=where, how=how)
    return found


def _found(code: str) -> str:
    """As `normalise_code`, '' for a code that is none. What is near to it takes a thousand times as long."""
    if code in languages():  # which reads no profile
        return code
    table = _spellings()
    tag = code.strip().replace("_", "-").lower()
    if tag in table:
        return table[tag]
    base, *rest = tag.split("-")
    scripts = [part for part in rest if len(part) == 4 and part.isalpha()]
    regions = [part for part in rest if len(part) == 2 or part.isdigit()]
    traditional = base in ("zh", "zho", "cmn") and {"tw", "hk", "mo"} & set(regions)
    if base in table and not scripts and not traditional and len(rest) == len(regions):
        return table[base]
    if base in table and scripts and f"{base}-{scripts[0]}" in table:
        return table[f"{base}-{scripts[0]}"]
    return ""


def check_languages(params: Any) -> None:
    """RecipeError for a code that is no language in the params of a stage that name languages: said by `plan`, before
    hours of work."""
    for name in ("language", "languages", "keep_languages", "words_language"):
        given = getattr(params, name, ())
        for code in filter(None, [given] if isinstance(given, str) else given):
            normalise_code(code, where=name)


def _nearest(code: str, table: Mapping[str, str]) -> str:
    """The remedy for an unknown code: the language that it is near to, in any spelling or by its name, or all codes."""
    spellings = {code: code for code in languages()} | table
    for each in languages():
        profile = load_profile(each)
        spellings |= {profile.name.lower(): each, profile.native_name: each}
    near = difflib.get_close_matches(code, spellings, n=1, cutoff=0.6)
    near = near or difflib.get_close_matches(code.lower(), spellings, n=1, cutoff=0.6)
    return f"Did you mean '{spellings[near[0]]}'?" if near else did_you_mean(code, languages())


@per_profiles
def known_language(code: str) -> str:
    """The profile code of any accepted spelling, '' for any other language and for ''."""
    return _found(code)
