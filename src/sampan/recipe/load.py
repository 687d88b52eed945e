"""Recipes: YAML over what it `extends:`, no templating, and `--set` on top; every declaration knows its line.

A recipe that extends another may give a stage the name of an input: the stage stands in for the input, and whatever
read the input reads what the stage makes. This is how a recipe for a cluster becomes a small one of the same graph.
Ablations of the recipe stand under `variants:` (see `variants`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ..core.errors import RecipeError, did_you_mean
from ..lang.codes import normalise_code
from ..lang.profile import use_profiles
from . import yaml
from .given import Given, input_spec, read_input, set_input
from .variants import Variant, expand

TOP = (
    "recipe",
    "about",
    "extends",
    "languages",
    "profiles",
    "use",
    "inputs",
    "stages",
    "optional",
    "published",
    "variants",
)
PER_STAGE = ("stage", "from", "with", "about")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_RECIPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class StageDecl:
    """One stage as written: its kind, role → names, params, and where it stands."""

    name: str
    kind: str
    sources: dict[str, list[str]]
    params: dict[str, Any]
    where: str
    about: str = ""


@dataclass(frozen=True)
class Recipe:
    """A whole recipe as written; paths of its inputs are absolute."""

    name: str
    about: str
    languages: list[str]
    inputs: dict[str, str | None]
    stages: dict[str, StageDecl]
    path: Path
    input_where: dict[str, str] = field(default_factory=dict)
    use: Any = None
    """What the model is for, as written (see `licence_gate.Use`)."""
    use_where: str = ""
    given: dict[str, Given] = field(default_factory=dict)
    """What is said of the inputs, by name."""
    published: Any = None
    """Figures that others published of these stages, as written (see `published.Figure`)."""
    published_where: str = ""
    optional: tuple[str, ...] = ()
    """Stages that are built only where `--to` names them, or something that needs them."""
    variants: dict[str, Variant] = field(default_factory=dict)
    """Those whose stages are among `stages`."""


def load_recipe(path: Path, settings: Sequence[str] = (), variants: Sequence[str] | None = None) -> Recipe:
    """Read a recipe with its parents and apply `--set` settings; RecipeError names file and line of what is wrong.

    `path` may also be the name of a recipe that comes with Sampan, such as `village`. `variants` names those whose
    stages are wanted: None for all, `none` for none. Settings are of the recipe's own stages, and a variant that does
    not override them has them too.
    """
    path = _find(path)
    data, places = _read(path, seen=())
    _apply(data, places, settings)
    if folder := data.get("profiles"):
        use_profiles(Path(folder))
    return _build(data, places, path, variants)


def check_name(name: Any, *, where: str) -> str:
    """The name if a recipe can bear it; RecipeError otherwise."""
    if not isinstance(name, str) or not _RECIPE_NAME.fullmatch(name):
        raise RecipeError("a recipe needs a name of letters, digits, '-', '_', '.': `recipe: my-model`", where=where)
    return name


def bundled() -> dict[str, Path]:
    """Recipes that come with Sampan, by name."""
    folder = _bundle()
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))} if folder.is_dir() else {}


def _bundle() -> Path:
    folder = Path(str(resources.files("sampan.recipe") / "bundled"))
    return folder if folder.is_dir() else Path(__file__).resolve().parents[3] / "recipes"  # a source checkout


def _find(path: Path) -> Path:
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    known = bundled()
    if path.name in known and path.parent == Path("."):
        return known[path.name]
    near = did_you_mean(path.name, known)
    how = near if near.endswith("?") else f"Give a YAML file or one of: {', '.join(known)}."
    raise RecipeError(f"no recipe '{path}'", how=how)


Places = dict[tuple[str, ...], str]


def _read(path: Path, seen: tuple[Path, ...]) -> tuple[dict[str, Any], Places]:
    if path.resolve() in seen:
        raise RecipeError("a recipe extends itself, directly or through another", where=f"{path}")
    data, lines = yaml.read(path)
    if not isinstance(data, dict):
        raise RecipeError("a recipe is a mapping with `recipe:` and `stages:`", where=str(path))
    places = {key: f"{path}:{line}" for key, line in lines.items()}
    for key in data:
        if str(key) not in TOP:
            raise RecipeError(
                f"there is no section '{key}'", where=places[(str(key),)], how=did_you_mean(str(key), TOP)
            )
    _anchor(data.get("inputs"), path)
    if "profiles" in data:
        data["profiles"] = _folder(data["profiles"], path, where=places[("profiles",)])
    parents = data.pop("extends", None) or []
    parents = [parents] if isinstance(parents, str) else parents
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise RecipeError("`extends:` takes one recipe, or a list of them", where=places[("extends",)])
    merged: dict[str, Any] = {}
    below: Places = {}
    for parent in parents:
        more, more_places = _read(_parent(parent, path, places[("extends",)]), (*seen, path.resolve()))
        merged, below = _over(merged, more), {**below, **more_places}
    return _over(merged, data), {**below, **places}


def _parent(name: str, path: Path, where: str) -> Path:
    """The file of a recipe that the recipe in `path` extends: beside it, or among those that come with Sampan."""
    for place in (path.parent / name, _bundle() / name, bundled().get(name)):
        if place and place.is_file():
            return place
    beside = [file.name for file in path.parent.glob("*.yaml") if file.name != path.name]
    raise RecipeError(
        f"there is no recipe '{name}' to extend", where=where, how=did_you_mean(name, [*beside, *bundled()])
    )


def _anchor(inputs: Any, path: Path) -> None:
    """Make the recipe's own relative input paths absolute: they start from the folder of the file that names them."""
    for name, given in inputs.items() if isinstance(inputs, dict) else ():
        spec = input_spec(given)
        kind, colon, text = spec.partition(":") if isinstance(spec, str) else ("", "", "")
        if colon and kind in ("file", "dir"):
            inputs[name] = set_input(given, f"{kind}:{path.resolve().parent / Path(text).expanduser()}")


def _folder(given: Any, path: Path, *, where: str) -> str | None:
    """A recipe's folder of language profiles, made absolute as its inputs are; null takes it away again."""
    if given is not None and not isinstance(given, str):
        raise RecipeError("`profiles:` is a folder of language profiles", where=where, how="profiles: my-languages")
    return given and str(path.resolve().parent / Path(given).expanduser())


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """A recipe over what it extends; stages of it take the place of inputs with their names.

    A stage stands where its kind is first said: one of which only params lie below, where the recipe puts it.
    """
    merged, stages, own = _merge(below, above), above.get("stages"), above.get("inputs") or {}
    if isinstance(stages, dict) and isinstance(under := below.get("stages"), dict):
        first = [n for n, stage in under.items() if n not in stages or not isinstance(stage, dict) or "stage" in stage]
        merged["stages"] = {n: merged["stages"][n] for n in (*first, *stages) if n in merged["stages"]}
    inputs = merged.get("inputs")
    if isinstance(inputs, dict) and isinstance(stages, dict):
        merged["inputs"] = {name: given for name, given in inputs.items() if name not in stages or name in own}
    return merged


def _merge(below: Any, above: Any) -> Any:
    """Mappings merge key by key; anything else is replaced; a null removes."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    merged = dict(below)
    for key, value in above.items():
        if value is None and key in merged and isinstance(merged[key], dict):
            del merged[key]
        else:
            merged[key] = _merge(merged[key], value) if key in merged else value
    return merged


def _apply(data: dict[str, Any], places: Places, settings: Sequence[str]) -> None:
    """`stage.param=value`, `inputs.name=path`, `languages=[…]` and `use=…` settings, in order."""
    for setting in settings:
        where = f"--set {setting}"
        name, equals, text = setting.partition("=")
        parts = name.split(".")
        if not equals or len(parts) > 3 or (len(parts) == 1 and name not in ("languages", "use")):
            raise RecipeError("not a setting", where=where, how="Write STAGE.PARAM=VALUE or inputs.NAME=PATH.")
        if len(parts) == 1:
            data[name] = yaml.parse_value(text, where=where)
            places[(name,)] = where
        elif parts[0] == "inputs" and len(parts) == 2:
            inputs = data.setdefault("inputs", {})
            if parts[1] not in inputs:
                raise RecipeError(f"there is no input '{parts[1]}'", where=where, how=did_you_mean(parts[1], inputs))
            inputs[parts[1]] = set_input(inputs[parts[1]], _input_spec(text))
            places[("inputs", parts[1])] = where
        else:
            stages = data.get("stages") or {}
            if parts[0] not in stages:
                raise RecipeError(f"there is no stage '{parts[0]}'", where=where, how=did_you_mean(parts[0], stages))
            params = stages[parts[0]].get("with") or {}
            stages[parts[0]]["with"] = params
            for part in parts[1:-1]:
                params = params.setdefault(part, {})
            params[parts[-1]] = yaml.parse_value(text, where=where)
            places[("stages", parts[0])] = places.get(("stages", parts[0]), "") + f" with {where}"


def _input_spec(text: str) -> str:
    """An input given on the command line: as it is, or an address, or a path relative to the current folder."""
    if "://" in text and not text.startswith("url:"):
        return f"url:{text}"
    if text.startswith(("file:", "dir:", "hf:", "url:")):
        kind, _, path = text.partition(":")
        return text if kind in ("hf", "url") else f"{kind}:{Path(path).expanduser().absolute()}"
    path = Path(text).expanduser().absolute()
    return f"{'dir' if path.is_dir() else 'file'}:{path}"


def _build(data: Mapping[str, Any], places: Places, path: Path, variants: Sequence[str] | None) -> Recipe:
    name = check_name(data.get("recipe"), where=places.get(("recipe",), str(path)))
    stages = data.get("stages")
    if not isinstance(stages, dict) or not stages:
        raise RecipeError("a recipe needs `stages:`", where=places.get(("stages",), str(path)))
    inputs, languages = data.get("inputs") or {}, data.get("languages") or []
    if not isinstance(inputs, dict):
        raise RecipeError("`inputs:` is a mapping of names", where=places[("inputs",)])
    if not isinstance(languages, list) or not all(isinstance(code, str) for code in languages):
        raise RecipeError("`languages:` is a list of codes", where=places[("languages",)], how="[tha_Thai, lao_Laoo]")
    languages = [normalise_code(code, where=f"{places[('languages',)]}, `languages`") for code in languages]
    given = {key: read_input(value, key, where=places[("inputs", key)]) for key, value in inputs.items()}
    both = sorted(set(inputs) & set(stages))
    if both:
        raise RecipeError(f"'{both[0]}' is both an input and a stage", where=places[("stages", both[0])])
    own = {key: _stage(key, value, places, others=stages) for key, value in stages.items()}

    def read(stage: str, over: Mapping[str, Any], where: str) -> StageDecl:
        return _stage(stage, _merge(stages[stage], over), {("stages", stage): where})

    def place(*names: str) -> str:
        return places.get(("variants", *names), str(path))

    every, found = expand(data.get("variants"), own, inputs, read, place, variants)
    return Recipe(
        name=name,
        about=str(data.get("about") or ""),
        languages=languages,
        inputs={key: value.at for key, value in given.items()},
        stages=every,
        path=path,
        input_where={key: places.get(("inputs", key), str(path)) for key in inputs},
        use=data.get("use"),
        use_where=f"{places.get(('use',), path)}, `use`",
        given=given,
        published=data.get("published"),
        published_where=f"{places.get(('published',), path)}, `published`",
        optional=_optional(data.get("optional"), own, where=places.get(("optional",), str(path))),
        variants=found,
    )


def _optional(given: Any, stages: Iterable[str], *, where: str) -> tuple[str, ...]:
    """The names under `optional:`; RecipeError for one that is no stage's."""
    names = given or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError("`optional:` is a list of stages", where=where, how="optional: [leaderboard]")
    known = list(stages)
    for name in names:
        if name not in known:
            raise RecipeError(
                f"`optional:` names '{name}', which is no stage", where=where, how=did_you_mean(name, known)
            )
    return tuple(names)


def _stage(name: str, value: Any, places: Places, *, others: Iterable[str] = ()) -> StageDecl:
    """A stage as it is read; `others` are the names beside it, of which one may have been meant."""
    where = f"{places.get(('stages', name), name)}, stage '{name}'"
    if not _NAME.fullmatch(str(name)):
        raise RecipeError("a stage's name needs letters, digits, '-' and '_', a letter first", where=where)
    if not isinstance(value, dict) or not isinstance(value.get("stage"), str):
        near = did_you_mean(name, [other for other in others if other != name])
        how = near if isinstance(value, dict) and "stage" not in value and near.endswith("?") else ""
        raise RecipeError("a stage is a mapping with `stage: KIND`", where=where, how=how)
    for key in value:
        if key not in PER_STAGE:
            raise RecipeError(f"there is no key '{key}' in a stage", where=where, how=did_you_mean(key, PER_STAGE))
    sources = value.get("from") or {}
    params = value.get("with") or {}
    if not isinstance(sources, dict) or not isinstance(params, dict):
        raise RecipeError("`from:` and `with:` are mappings", where=where)
    roles = {}
    for role, names in sources.items():
        if names is None:  # removed by a recipe that extends this, or by a variant
            continue
        names = names if isinstance(names, list) else [names]
        if not all(isinstance(item, str) for item in names):
            raise RecipeError(f"`from: {role}` takes names of stages or inputs", where=where)
        roles[role] = names
    return StageDecl(name, value["stage"], roles, dict(params), where, str(value.get("about") or ""))
