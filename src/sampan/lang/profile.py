"""Language profiles: names, script, sisters, stop words and filter thresholds, read from `profiles/<code>.yaml`."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..core.errors import RecipeError, did_you_mean
from .thresholds import Thresholds, check_limits

FOLDER = Path(__file__).parent / "profiles"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One language."""

    code: str
    """ISO 639-3 and ISO 15924, such as `tha_Thai`."""
    name: str
    native_name: str
    script: str
    """ISO 15924 code of its own script, `Hans` for simplified Chinese."""
    alpha2: str
    """ISO 639-1 code."""
    aliases: tuple[str, ...] = ()
    """Other spellings accepted at the border, such as `fil`."""
    lid_labels: tuple[str, ...] = ()
    """fastText lid.176 labels that count as this language."""
    sister_labels: tuple[str, ...] = ()
    """Labels of languages outside the profiles that lid.176 confuses with it."""
    sisters: tuple[str, ...] = ()
    """Codes of profiles that lid.176 confuses with it."""
    spaced: bool = True
    """Whether words are set apart by spaces."""
    sentence_enders: tuple[str, ...] = ()
    stop_words: tuple[str, ...] = ()
    """Frequent words and particles; substrings of running text where `spaced` is False."""
    markers: frozenset[str] = frozenset()
    """Words that its sisters do not use, or seldom."""
    thresholds: Thresholds = field(default_factory=Thresholds)


@functools.cache
def languages() -> tuple[str, ...]:
    """Codes of all profiles, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@functools.cache
def load_profile(code: str) -> Profile:
    """The profile of an exact code (see `codes.normalise_code` for other spellings); RecipeError if there is none."""
    if code not in languages():
        raise RecipeError(f"there is no language profile '{code}'", how=did_you_mean(code, languages()))
    import yaml

    path = FOLDER / f"{code}.yaml"
    try:
        from yaml import CSafeLoader as Loader
    except ImportError:
        from yaml import SafeLoader as Loader
    row = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    return _profile(code, row, str(path))


def _profile(code: str, row: dict[str, Any], where: str) -> Profile:
    limits = row.pop("thresholds", {})
    known = {f.name for f in fields(Profile)}
    for key in row:
        if key not in known:
            raise RecipeError(f"there is no profile field '{key}'", where=where, how=did_you_mean(key, known))
    check_limits(limits, where=where)
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    values["markers"] = frozenset(values.get("markers", ()))
    if values["script"] != code.partition("_")[2]:
        raise RecipeError(f"script {values['script']} does not match the file name", where=where)
    return Profile(code=code, thresholds=Thresholds(**limits), **values)
