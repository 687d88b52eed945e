"""Language codes at the border: `th`, `tha`, `th-TH` and `fil` in, `tha_Thai` and `tgl_Latn` out."""

from __future__ import annotations

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
    raise RecipeError(
        f"there is no language '{code}'",
        where=where,
        how=did_you_mean(code, [*languages(), *sorted(table)]) if code else "Give a code such as tha_Thai.",
    )


@per_profiles
def known_language(code: str) -> str:
    """The profile code of any accepted spelling, '' for any other language and for ''."""
    try:
        return normalise_code(code) if code else ""
    except RecipeError:
        return ""
