"""Variants of a recipe: ablations that share with it every stage that they do not touch.

A variant overrides params and inputs of named stages, as a recipe does with what it extends. The stages that differ and
what is made from them stand in the graph once more as `STAGE.VARIANT`; a stage's own name has no dot, so the two cannot
meet. By default the copies reach as far as the stages that score; `to:` says otherwise. A copy is a stage like any
other, so keys, caching, engines and the commands' selectors need to know nothing of variants.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..core.errors import RecipeError, did_you_mean
from ..core.params import all_values, parse_params
from .stages import STAGES

if TYPE_CHECKING:
    from .load import StageDecl

PER_VARIANT = ("about", "stages", "replace", "to")
NONE = "none"
"""On the command line: the recipe without its variants."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_EACH_MODEL_ALONE = ("evals.run", "evals.lm_eval")
"""Stages that score each of their models by itself: a copy leaves out the recipe's own models, which have scores."""


@dataclass(frozen=True)
class Variant:
    """One variant as it stands in the graph."""

    name: str
    about: str
    where: str
    stages: dict[str, str] = field(default_factory=dict)
    """{the recipe's stage: its copy}, in recipe order."""
    changed: list[str] = field(default_factory=list)
    """The recipe's stages that the variant itself changes; the other copies differ by what they read."""
    replaced: dict[str, str] = field(default_factory=dict)
    """{a stage that is left out: what is read instead}."""


Read = Callable[[str, Mapping[str, Any], str], "StageDecl"]
"""(stage, what a variant writes over it, where) → the stage so changed."""


def expand(
    written: Any,
    stages: Mapping[str, StageDecl],
    inputs: Collection[str],
    read: Read,
    place: Callable[..., str],
    chosen: Sequence[str] | None = None,
) -> tuple[dict[str, StageDecl], dict[str, Variant]]:
    """The stages with those of the variants behind them, and the variants; only `chosen` ones unless it is None.

    `written` is the section `variants:`; `place(variant, …)` is the line of what stands in it. RecipeError for a
    section that is wrong; variants that are not chosen are not looked into.
    """
    if written is None:
        written = {}
    if not isinstance(written, dict):
        raise RecipeError("`variants:` is a mapping of names", where=place())
    for name in chosen or ():
        if name not in written and name != NONE:
            raise RecipeError(f"there is no variant '{name}'", where="--variant", how=did_you_mean(name, written))
    out, found = dict(stages), {}
    for name, value in written.items():
        if chosen is None or name in chosen:
            found[name], copies = _one(str(name), value, stages, inputs, read, place)
            out |= copies
    return out, found


def _one(
    name: str,
    value: Any,
    stages: Mapping[str, StageDecl],
    inputs: Collection[str],
    read: Read,
    place: Callable[..., str],
) -> tuple[Variant, dict[str, StageDecl]]:
    where = f"{place(name)}, variant '{name}'"
    _check(name, value, where)
    overrides, swaps, ends = value.get("stages") or {}, value.get("replace") or {}, _names(value.get("to"), where)
    for given in (*overrides, *ends):
        _known(given, stages, where)
    for given in (*swaps, *swaps.values()):
        _known(given, [*stages, *inputs], where)
    own = dict(stages)
    for stage, over in overrides.items():
        here = f"{place(name, 'stages', stage)}, variant '{name}'"
        own[stage] = _overridden(stages[stage], over, read, here)
    own = {stage: _swapped(decl, swaps) for stage, decl in own.items()}
    changed = [stage for stage in stages if _differs(stages[stage], own[stage])]
    for stage in overrides:
        if stage not in changed:
            raise RecipeError(
                f"the variant changes nothing in stage '{stage}'",
                where=where,
                how="If a --set made them equal, choose other variants with --variant, or none.",
            )
    keep = _copied(own, changed, [*overrides], ends, where)
    idle = {stage for stage in keep - {*overrides, *ends} if _scores_no_copy(own[stage], keep)}
    names = {stage: f"{stage}.{name}" for stage in stages if stage in keep - idle}
    if not names:
        raise RecipeError(
            "the variant changes nothing", where=where, how="Override a stage under `stages:`, or use `replace:`."
        )
    clash = next((copy for copy in names.values() if copy in stages or copy in inputs), "")
    if clash:
        raise RecipeError(f"'{clash}' would be a stage of this variant and is there already", where=where)
    own_changes = [stage for stage in names if stage in overrides]
    variant = Variant(name, str(value.get("about") or ""), where, names, own_changes, dict(swaps))
    return variant, {copy: _renamed(own[stage], copy, names) for stage, copy in names.items()}


def _check(name: str, value: Any, where: str) -> None:
    if not _NAME.fullmatch(name) or name == NONE:
        raise RecipeError(f"a variant's name needs letters, digits, '-' and '_', and is not '{NONE}'", where=where)
    if not isinstance(value, dict):
        raise RecipeError("a variant is a mapping with `stages:` or `replace:`", where=where)
    for key in value:
        if key not in PER_VARIANT:
            raise RecipeError(f"there is no key '{key}' in a variant", where=where, how=did_you_mean(key, PER_VARIANT))
    for key in ("stages", "replace"):
        if not isinstance(value.get(key) or {}, dict):
            raise RecipeError(f"`{key}:` of a variant is a mapping of stages", where=where)


def _names(given: Any, where: str) -> list[str]:
    names = given if isinstance(given, list) else [] if given is None else [given]
    if not all(isinstance(name, str) for name in names):
        raise RecipeError("`to:` takes a name of a stage, or a list of them", where=where)
    return names


def _known(name: Any, known: Iterable[str], where: str) -> None:
    known = list(known)
    if name not in known:
        raise RecipeError(f"there is no stage '{name}'", where=where, how=did_you_mean(str(name), known))


def _overridden(decl: StageDecl, over: Any, read: Read, where: str) -> StageDecl:
    """The stage with a variant's params and inputs over it; a null gives a param its default back, unless null is a
    value of that param."""
    if not isinstance(over, dict):
        raise RecipeError(
            f"what a variant says of stage '{decl.name}' must be a mapping, such as {{with: {{…}}}}",
            where=where,
            how="To leave a stage out, let what it reads stand in for it: `replace: {STAGE: WHAT_IT_READS}`.",
        )
    merged = read(decl.name, over, where)
    hints = typing.get_type_hints(STAGES.load(merged.kind, where=merged.where).params)
    nulls = [key for key, value in (over.get("with") or {}).items() if value is None and not _takes_null(hints, key)]
    return replace(merged, params={key: value for key, value in merged.params.items() if key not in nulls})


def _takes_null(hints: Mapping[str, Any], param: str) -> bool:
    """Whether null is a value of the param; an unknown one keeps its null, so that it is named as unknown later."""
    hint = hints.get(param, type(None))
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return hint is type(None) or (union and type(None) in typing.get_args(hint))


def _reads(decl: StageDecl, *, but: str = "") -> set[str]:
    """All that a stage reads, without what it reads as `but`."""
    return {name for role, names in decl.sources.items() if role != but for name in names}


def _swapped(decl: StageDecl, swaps: Mapping[str, str]) -> StageDecl:
    return replace(
        decl, sources={role: [swaps.get(name, name) for name in names] for role, names in decl.sources.items()}
    )


def _differs(old: StageDecl, new: StageDecl) -> bool:
    """Whether two declarations of a stage ask for different work; a default that is written out is no difference."""
    if (old.kind, old.sources) != (new.kind, new.sources):
        return True
    if old.params == new.params:
        return False
    known = STAGES.load(new.kind, where=new.where).params
    before, after = (parse_params(known, decl.params, where=f"{decl.where} ({decl.kind})") for decl in (old, new))
    return all_values(before) != all_values(after)


def _copied(
    own: Mapping[str, StageDecl], changed: Sequence[str], named: Sequence[str], ends: Sequence[str], where: str
) -> set[str]:
    """The stages that stand in the graph once more: on a way from a changed stage to one of the ends. A stage that the
    variant overrides by name must be among them."""
    below = _below(own, changed)
    for name in ends:
        if name not in below:
            raise RecipeError(f"`to:` names stage '{name}', which the variant does not change", where=where)
    if not ends:
        scored = [name for name in below if _kind(own[name]) == "scores"]
        ends = [*named, *(scored or [name for name in below if _kind(own[name]) != "bundle"])]
    keep = below & _above(own, ends)
    lost = next((name for name in named if name not in keep), "")
    if lost:
        raise RecipeError(
            f"the variant changes stage '{lost}', which leads to none of the stages in `to:`", where=where
        )
    return keep


def _scores_no_copy(decl: StageDecl, copied: set[str]) -> bool:
    """Whether a stage would only score the recipe's own models, as the one behind a replaced stage would."""
    return decl.kind in _EACH_MODEL_ALONE and not copied & _reads(decl)


def _kind(decl: StageDecl) -> str:
    """The artifact kind that a stage makes; '' where that depends on what it is given."""
    output = STAGES.load(decl.kind, where=decl.where).output
    return output if isinstance(output, str) else ""


def _above(stages: Mapping[str, StageDecl], names: Iterable[str]) -> set[str]:
    """The stages among `names` and all that they are made from."""
    seen, todo = set(), [name for name in names if name in stages]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [source for source in _reads(stages[name]) if source in stages]
    return seen


def _below(stages: Mapping[str, StageDecl], names: Iterable[str]) -> set[str]:
    """The stages `names` and all that is made from them."""
    readers: dict[str, list[str]] = {}
    for name, decl in stages.items():
        for source in _reads(decl):
            readers.setdefault(source, []).append(name)
    seen, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += readers.get(name, [])
    return seen


def _renamed(decl: StageDecl, copy: str, names: Mapping[str, str]) -> StageDecl:
    """The copy of a stage, reading the variant's copies where there are such."""
    sources = {role: [names.get(name, name) for name in given] for role, given in decl.sources.items()}
    if decl.kind in _EACH_MODEL_ALONE:
        own = [name for name in decl.sources.get("models", ()) if name in names]
        if own and not names.keys() & _reads(decl, but="models"):
            sources["models"] = [names[name] for name in own]
    return replace(decl, name=copy, sources=sources, where=f"{decl.where}, copied as '{copy}'")
