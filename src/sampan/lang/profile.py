"""Language profiles: names, script, segmenters, sisters, stop words and thresholds, read from `profiles/<code>.yaml`.

A folder of one's own, named by a recipe's `profiles:` or by SAMPAN_PROFILES, adds languages and replaces profiles of
the same code. Processes that a run starts find it in their environment.

A mistake in a profile is a RecipeError that names the file, the field and what would be right.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ..core.errors import RecipeError, did_you_mean
from ..core.identity import digest_resources, digest_tree, digest_value
from .thresholds import Thresholds, check_limits

FOLDER = Path(__file__).parent / "profiles"
VARIABLE = "SAMPAN_PROFILES"
"""The environment's name for a folder of own profiles."""
_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
_of_profiles: list[Any] = []
_Result = TypeVar("_Result")


def per_profiles(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Remember results that are computed from the profiles until `use_profiles` changes these."""
    cached = functools.lru_cache(maxsize=4096)(function)
    _of_profiles.append(cached)
    return cached


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
    digits: str = "0123456789"
    """Its own ten digits, zero first, used beside 0 to 9."""
    segmenters: tuple[str, ...] = ()
    """Word segmenters of `lang.segmenters`, best first; none where spaces do."""
    tone_placement: str = "keep"
    """Vietnamese only: `keep` tones as typed, or write `old` (hòa) or `new` (hoà) style."""
    sentence_enders: tuple[str, ...] = ()
    stop_words: tuple[str, ...] = ()
    """Frequent words and particles; substrings of running text where `spaced` is False."""
    markers: frozenset[str] = frozenset()
    """Words that its sisters do not use, or seldom."""
    harmful_words: str = ""
    """A text file with one harmful word or phrase a line (`#` begins a comment), relative to the profiles. None is
    shipped: whom a list silences is for the people who build the corpus to decide. See `harmful_words`."""
    thresholds: Thresholds = field(default_factory=Thresholds)


def use_profiles(folder: Path) -> None:
    """Add the profiles of `folder` in this process and in those that it starts; RecipeError on the first mistake."""
    os.environ[VARIABLE] = str(folder.resolve())
    forget_profiles()
    for code in languages():
        if _files()[code].parent != FOLDER:
            load_profile(code)


def forget_profiles() -> None:
    """Read the profiles anew when they are next asked for."""
    for cached in _of_profiles:
        cached.cache_clear()


def _check_names(profile: Profile, where: str) -> None:
    """RecipeError if a profile names a sister or a segmenter that there is not."""
    from .segmenters import SEGMENTERS

    for field_name, known in (("sisters", languages()), ("segmenters", tuple(SEGMENTERS))):
        for name in getattr(profile, field_name):
            if name not in known:
                raise RecipeError(f"`{field_name}` names '{name}'", where=where, how=did_you_mean(name, known))


def own_profiles() -> Path | None:
    """The folder of own profiles that is in use, or None."""
    given = os.environ.get(VARIABLE, "")
    return Path(given) if given else None


@per_profiles
def _files() -> dict[str, Path]:
    """The file of each profile by code; own ones come before the package's."""
    found = {path.stem: path for path in FOLDER.glob("*.yaml")}
    if own := own_profiles():
        mine = sorted(path for path in (own.iterdir() if own.is_dir() else ()) if path.suffix in (".yaml", ".yml"))
        if not mine:
            raise RecipeError(
                "there is no folder of language profiles" if not own.is_dir() else "no language profile in this folder",
                where=str(own),
                how="`profiles:` in the recipe, or SAMPAN_PROFILES, names a folder of files such as ban_Latn.yaml.",
            )
        for path in mine:
            if not _CODE.fullmatch(path.stem) or path.suffix != ".yaml":
                raise RecipeError(
                    f"'{path.name}' is no name of a profile",
                    where=str(own),
                    how="Name it after ISO 639-3 and ISO 15924: ban_Latn.yaml for Balinese in Latin letters.",
                )
        found |= {path.stem: path for path in mine}
    return dict(sorted(found.items()))


def languages() -> tuple[str, ...]:
    """Codes of all profiles, sorted."""
    return tuple(_files())


def profiles_digest() -> str:
    """The content of all profiles, for stages whose results depend on them: the package's, and with them own ones."""
    package, own = digest_resources("sampan.lang", "profiles"), own_profiles()
    return digest_value([package, digest_tree(own)]) if own else package


def reads_own_profiles(params: Any = None) -> dict[str, str]:
    """`Stage.reads` of stages that name languages or cut words: the own profiles, nothing where there are none."""
    own = own_profiles()
    return {"own language profiles": digest_tree(own)} if own else {}


@per_profiles
def load_profile(code: str) -> Profile:
    """The profile of an exact code (see `codes.normalise_code` for other spellings); RecipeError if there is none."""
    if code not in languages():
        raise RecipeError(f"there is no language profile '{code}'", how=did_you_mean(code, languages()))
    path = _files()[code]
    profile = read_profile(path)
    if path.parent != FOLDER:
        _check_names(profile, str(path))
    return profile


def read_profile(path: Path) -> Profile:
    """A profile from a YAML file named after its code, checked field by field; RecipeError on the first mistake."""
    import yaml

    try:
        from yaml import CSafeLoader as Loader
    except ImportError:
        from yaml import SafeLoader as Loader
    try:
        row = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    except yaml.YAMLError as error:
        raise RecipeError(f"the profile is not YAML: {error}", where=str(path)) from error
    if not isinstance(row, dict):
        raise RecipeError("a profile is a mapping of fields", where=str(path))
    return _profile(path.stem, row, str(path))


def harmful_words(profile: Profile, source: str = "") -> tuple[str, ...]:
    """Words of the profile's own list, or of `source`: a file, or a folder with a `<code>.txt` (missing: no words).

    One word or phrase a line, blank lines and `#` comments left out, in the file's order.
    """
    path = Path(source) if source else _files()[profile.code].parent / profile.harmful_words
    if source and path.is_dir():
        path = path / f"{profile.code}.txt"
        if not path.exists():
            return ()
    elif not source and not profile.harmful_words:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the list of harmful words: {error}", where=str(path)) from error
    words = (line.partition("#")[0].strip() for line in lines)
    return tuple(dict.fromkeys(word for word in words if word))


_MEANING = {
    "name": "English name",
    "native_name": "name in itself",
    "script": "ISO 15924 code, as in the file's name",
    "alpha2": 'two-letter code, or "" if it has none',
}


def _profile(code: str, row: dict[str, Any], where: str) -> Profile:
    limits = row.pop("thresholds", {})
    if not isinstance(limits, dict):
        raise RecipeError("`thresholds` is a mapping of limits", where=where)
    check_limits(limits, where=where)
    known = {f.name for f in fields(Profile)} - {"code", "thresholds"}
    for key in row:
        if key not in known:
            raise RecipeError(f"there is no profile field '{key}'", where=where, how=did_you_mean(key, known))
    missing = [f.name for f in fields(Profile) if f.default is MISSING and f.default_factory is MISSING]
    for name in missing:
        if name != "code" and name not in row:
            raise RecipeError(f"the profile lacks `{name}`", where=where, how=f"Say its {_MEANING[name]}.")
    values = {name: _value(name, value, where) for name, value in row.items()}
    if values["script"] != code.partition("_")[2]:
        raise RecipeError(f"script {values['script']} does not match the file name", where=where)
    if len(values.get("digits", "0123456789")) != 10:
        raise RecipeError("`digits` are ten characters, zero first", where=where)
    if values.get("tone_placement", "keep") not in ("keep", "old", "new"):
        raise RecipeError("`tone_placement` is keep, old or new", where=where)
    return Profile(code=code, thresholds=Thresholds(**limits), **values)


def _value(name: str, value: Any, where: str) -> Any:
    """One field in its type. A bare `no` or `on` in YAML is a truth value, hence the check of every word."""
    wanted = Profile.__annotations__[name]
    if wanted == "bool" or wanted == "str":
        if type(value).__name__ != wanted:
            raise RecipeError(f"`{name}` is {value!r}, and not a {wanted}", where=where, how="Quote it if it is text.")
        return value
    if not isinstance(value, list) or any(not isinstance(item, str) or not item for item in value):
        wrong = value if not isinstance(value, list) else next(v for v in value if not isinstance(v, str) or not v)
        raise RecipeError(f"`{name}` is a list of words, and {wrong!r} is none", where=where, how="Quote it.")
    return frozenset(value) if wanted.startswith("frozenset") else tuple(value)
