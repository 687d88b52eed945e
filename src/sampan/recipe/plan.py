"""What a run would do: for every stage hit, run or pending, why, and what it is likely to cost."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.errors import RecipeError
from ..core.identity import digest_file
from ..core.params import all_values
from ..core.stage import Artifact, Stage
from ..store.outside import DigestCache, is_open, open_input
from ..store.store import Store
from . import facts, licence_gate
from .explain import difference
from .load import Recipe
from .resolve import Node, identity_params

HIT, RUN, PENDING = "hit", "run", "pending"


@dataclass
class Step:
    """One stage's outlook. `key` is known unless an input still has to be built."""

    node: Node
    status: str
    why: str
    key: str | None = None
    manifest: dict[str, Any] | None = None
    inputs: dict[str, list[Artifact]] = field(default_factory=dict)
    estimate: dict[str, float] = field(default_factory=dict)
    warning: str = ""


@dataclass
class Plan:
    """Steps by name in running order, and the recipe's outside inputs: those that are known, and the names of those
    that whoever runs the recipe must give."""

    recipe: Recipe
    steps: dict[str, Step]
    outside: dict[str, Artifact]
    missing: list[str] = field(default_factory=list)

    def count(self, status: str) -> int:
        return sum(step.status == status for step in self.steps.values())

    @property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """Of the stages that are built."""
        return {name: step.manifest for name, step in self.steps.items() if step.status == HIT and step.manifest}

    def licence_findings(self) -> list[licence_gate.Finding]:
        """What the licence gate knows so far."""
        return licence_gate.findings(self.recipe, {n: step.node for n, step in self.steps.items()}, self.manifests)


def make_plan(recipe: Recipe, nodes: Mapping[str, Node], store: Store) -> Plan:
    """Look at every stage in order. Reads digests and manifests, and nothing of the artifacts themselves. Inputs that
    the recipe leaves open are in the plan's `missing`, and what reads them is pending (see `check_inputs`)."""
    cache = DigestCache(store)
    used = {name for node in nodes.values() for name in node.parents if name in recipe.inputs}
    missing = [name for name, spec in recipe.inputs.items() if name in used and is_open(spec)]
    outside = {
        name: open_input(spec, name, cache, where=recipe.input_where[name])
        for name, spec in recipe.inputs.items()
        if name in used and spec is not None and name not in missing
    }
    cache.save()
    steps: dict[str, Step] = {}
    for name, node in nodes.items():
        steps[name] = plan_step(node, steps, outside, recipe, store)
    return Plan(recipe, steps, outside, missing)


def check_inputs(plan: Plan) -> None:
    """RecipeError that names every input which the recipe leaves to whoever runs it, with what it says of each."""
    if not plan.missing:
        return
    one = len(plan.missing) == 1
    listed = "; ".join(_wanted(name, plan.recipe) for name in plan.missing)
    open_hub = next((name for name in plan.missing if plan.recipe.inputs[name]), "")
    how = f"Give {'it' if one else 'each'} with --set inputs.{plan.missing[0]}=PATH, or in a recipe that extends this."
    if open_hub:
        spec = (plan.recipe.inputs[open_hub] or "").replace("REQUIRED", "COMMIT")
        how += f" From the hub: --set inputs.{open_hub}={spec} with the 40 hex digits of a commit (Files, History)."
    raise RecipeError(
        f"the recipe leaves {'input' if one else 'these inputs'} to you: {listed}",
        where=plan.recipe.input_where[plan.missing[0]],
        how=how,
    )


def _wanted(name: str, recipe: Recipe) -> str:
    told = [text for text in (recipe.inputs[name], recipe.given[name].about) if text]
    return f"'{name}'" + (f" ({': '.join(told)})" if told else "")


def plan_step(
    node: Node, steps: Mapping[str, Step], outside: Mapping[str, Artifact], recipe: Recipe, store: Store
) -> Step:
    """The outlook of one stage whose inputs' outlooks are in `steps`."""
    absent = [name for name in node.parents if name not in steps and name not in outside]
    waiting = [name for name in node.parents if name in steps and steps[name].status != HIT]
    sources = node.decl.sources
    known = {role: [_facts(name, steps, outside, recipe) for name in names] for role, names in sources.items()}
    node.stage.check_known(known, node.params, where=f"{node.decl.where} ({node.decl.kind})")
    estimate = forecast(node.stage, node.params, known)
    estimate = {**facts.carried(node.kind, known, estimate), **estimate}
    if absent:
        return Step(node, PENDING, f"needs input {', '.join(absent)}", estimate=estimate)
    if waiting:
        return Step(node, PENDING, f"waits for {', '.join(waiting)}", estimate=estimate)
    inputs = {
        role: [
            outside[name] if name in outside else store.artifact(steps[name].manifest or {}, name=name)
            for name in names
        ]
        for role, names in node.decl.sources.items()
    }
    digests = {role: [item.digest for item in items] for role, items in inputs.items()}
    key = node.stage.key(node.params, digests)
    manifest = store.lookup(key)
    if manifest is not None:
        return Step(node, HIT, "", key, manifest, inputs, estimate, _drift(node, manifest))
    return Step(node, RUN, _why(node, inputs, recipe.name, store), key, None, inputs, estimate)


def forecast(stage: Stage, params: Any, known: Mapping[str, Any]) -> dict[str, float]:
    """The stage's own forecast from facts of its inputs by role; none where they are not enough for it."""
    try:
        return dict(stage.estimate(params, known)) if stage.estimate else {}
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return {}


def source_digest(node: Node) -> str:
    """Digest of the source file that holds the stage: recorded, compared, and no part of the key."""
    return _file_digest(getattr(sys.modules.get(node.stage.run.__module__), "__file__", None) or "")


@functools.cache
def _file_digest(file: str) -> str:
    path = Path(file)
    return digest_file(path) if file and path.is_file() else ""


def manifest_of(node: Node, key: str, inputs: Mapping[str, list[Artifact]]) -> dict[str, Any]:
    """The part of a manifest that is known before the stage has run."""
    return {
        "name": node.name,
        "stage": node.decl.kind,
        "revision": node.stage.revision,
        "kind": node.kind,
        "key": key,
        "params": all_values(node.params),
        "given_params": identity_params(node),
        "reads": dict(node.stage.reads(node.params)) if node.stage.reads else {},
        "inputs": {
            role: [
                {"name": item.name, "kind": item.kind, "digest": item.digest, "key": item.manifest.get("key", "")}
                for item in items
            ]
            for role, items in inputs.items()
        },
        "code": {"version": __version__, "source": source_digest(node)},
    }


def _facts(name: str, steps: Mapping[str, Step], outside: Mapping[str, Artifact], recipe: Recipe) -> dict[str, Any]:
    """What is known of an input: its measured facts, its own forecast, or for one from outside its size and `path`, or
    what the recipe says of it."""
    if name not in steps:
        return facts.of_input(recipe.given[name], outside.get(name))
    step = steps[name]
    if step.manifest:
        return {**step.estimate, **facts.of_manifest(step.manifest), "disk_bytes": step.manifest.get("bytes", 0)}
    return step.estimate


def _why(node: Node, inputs: Mapping[str, list[Artifact]], recipe: str, store: Store) -> str:
    """What changed since this stage was last built under this name."""
    old = store.ref(recipe, node.name)
    before = store.lookup(old["key"]) if old else None
    if before is None:
        return "its last result was collected" if old else "never built"
    return "; ".join(difference(before, manifest_of(node, "", inputs))) or "its last result is gone"


def _drift(node: Node, manifest: Mapping[str, Any]) -> str:
    recorded, now = manifest.get("code", {}).get("source", ""), source_digest(node)
    if recorded and now and recorded != now and manifest.get("revision") == node.stage.revision:
        return f"the source of {node.decl.kind} changed since this was built and its revision did not"
    return ""
