"""The licence gate: what a recipe is for decides which sources may go into its model.

`use: commercial` refuses every source whose licence grants no commercial use, by name and before anything is trained on
it: from the plan where a stage's `license` param or the manifest of an earlier result already says so, and otherwise as
soon as the stage that brings the source in has ended. Stages that only feed an evaluation are free: a model may be
examined on what it must not learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..artifacts.licenses import CLASSES, NON_COMMERCIAL, PERMISSIVE, SHARE_ALIKE, UNKNOWN, license_class
from ..core.errors import RecipeError
from ..core.params import params, parse_params
from .load import Recipe
from .resolve import Node

EXAMINES = ("items", "files", "scores", "bundle")
"""Kinds that are not looked at: no training material, or a checkpoint that has passed and the scores shown with it."""
MATERIAL = ("pages", "documents", "conversations", "preferences")
"""Kinds that may be for examining alone."""


@params
class Use:
    """What a recipe's model is for: the section `use:`, whose short form is the purpose alone."""

    purpose: Literal["research", "commercial"] = "research"
    """`research` lets everything pass."""
    strict: bool = False
    """Whether a source whose licence is unknown is refused too, not only named."""
    permitted: list[str] = field(default_factory=list)
    """Sources, or licences as they are written in the rows, that may be used by an agreement of your own."""


@dataclass(frozen=True)
class Finding:
    """A source that is refused, or let pass with a warning."""

    stage: str
    where: str
    source: str
    license: str
    refused: bool

    @property
    def license_class(self) -> str:
        return license_class(self.license)

    def __str__(self) -> str:
        license = self.license or "no licence stated"
        verb = "refused" if self.refused else "let pass"
        return f"{verb}: source '{self.source}' in stage '{self.stage}' ({license}: {self.license_class})"


def read_use(given: Any, *, where: str) -> Use:
    """The section `use:` as written: a purpose, a mapping, or nothing."""
    if given is not None and not isinstance(given, str | dict):
        raise RecipeError("`use:` is research, commercial, or a mapping", where=where)
    values = {"purpose": given} if isinstance(given, str) else given
    return parse_params(Use, values, where=where, how="use: commercial, or use: {purpose: commercial, strict: true}.")


def findings(recipe: Recipe, nodes: Mapping[str, Node], manifests: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """What the gate says of the stages, each source and licence once, where it comes in first.

    `nodes` are in running order; `manifests` are those of the stages that are built.
    """
    use = read_use(recipe.use, where=recipe.use_where)
    if use.purpose != "commercial":
        return []
    found: list[Finding] = []
    seen: set[tuple[str, str]] = set()
    examined = _only_examined(nodes)
    for name, node in nodes.items():
        if node.kind in EXAMINES or name in examined:
            continue
        for source, license in _sources(recipe, node, manifests):
            if (source, license) in seen or {source, license} & set(use.permitted):
                continue
            seen.add((source, license))
            finding = _judge(use, node, source, license)
            found += [finding] if finding else []
    return found


def check(found: list[Finding]) -> None:
    """RecipeError that names every refused source, if there is one."""
    refused = [finding for finding in found if finding.refused]
    if refused:
        listed = "; ".join(
            f"source '{each.source}' in stage '{each.stage}' is under {each.license or 'no stated licence'}"
            f" ({each.license_class})"
            for each in refused
        )
        raise RecipeError(
            f"this recipe is for commercial use, and {listed}",
            where=refused[0].where,
            how="Leave the source out, set `use: research`, or name it in `use: {permitted: [...]}` if you may use it.",
        )


def summary_line(recipe: Recipe, manifests: Mapping[str, Mapping[str, Any]]) -> str:
    """One line for the plan: what the recipe is for and the licences of what is built, by class."""
    use = read_use(recipe.use, where=recipe.use_where)
    licenses = {name for manifest in manifests.values() for name in manifest.get("licenses", [])}
    counts = {name: sum(license_class(each) == name for each in licenses) for name in CLASSES}
    known = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    strict = ", strict" if use.strict else ""
    return f"use: {use.purpose}{strict}; licences of what is built: {known or 'none recorded yet'}"


def _sources(recipe: Recipe, node: Node, manifests: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """(source, licence) of what a stage brings in. Where no rows name a source, the first stage with them is it."""
    outside = [name for name in node.parents if name in recipe.inputs]
    manifest = manifests.get(node.name)
    if manifest is None:
        given = getattr(node.params, "license", "")
        if given and isinstance(given, str):
            yield getattr(node.params, "source", "") or node.name, given
        return
    named = manifest.get("license_sources") or {}
    parents = [manifests[name] for name in node.parents if name in manifests]
    inherited = {license for parent in parents for license in parent.get("licenses", [])}
    for license, sources in named.items():
        for source in sources:
            if source or not any("" in parent.get("license_sources", {}).get(license, []) for parent in parents):
                yield source or node.name, license
    for license in manifest.get("licenses", []):
        if license not in named and license not in inherited:
            yield node.name, license
    if outside and not named and not manifest.get("licenses"):
        yield outside[0], ""


def _judge(use: Use, node: Node, source: str, license: str) -> Finding | None:
    name = license_class(license)
    if name in (PERMISSIVE, SHARE_ALIKE):
        return None
    refused = name == NON_COMMERCIAL or (name == UNKNOWN and use.strict)  # else restricted or unknown: a warning
    return Finding(node.name, node.decl.where, source, license, refused)


def _only_examined(nodes: Mapping[str, Node]) -> set[str]:
    """Stages that other stages read, but only to examine models with."""
    readers: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for parent in node.parents:
            if parent in readers:
                readers[parent].append(name)
    found: set[str] = set()
    for name in reversed(nodes):
        # Whatever a model or a tokenizer is made of is read by it, and those are never among these.
        ends = [nodes[reader].kind in ("items", "scores") or reader in found for reader in readers[name]]
        if nodes[name].kind in MATERIAL and ends and all(ends):
            found.add(name)
    return found
