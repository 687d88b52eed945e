"""From a recipe as written to a graph that can be run: kinds checked, params typed, order found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import __version__
from ..core.errors import RecipeError, did_you_mean
from ..core.params import all_values, non_default, parse_params
from ..core.stage import EXTERNAL, Stage
from ..store.outside import check_spec
from .load import Recipe, StageDecl
from .stages import STAGES


@dataclass(frozen=True)
class Node:
    """A stage of the graph: its declaration, its Stage, its typed params and the kind it makes."""

    decl: StageDecl
    stage: Stage
    params: Any
    kind: str

    @property
    def name(self) -> str:
        return self.decl.name

    @property
    def parents(self) -> list[str]:
        """Names of the stages and inputs it reads, in recipe order, each once."""
        return list(dict.fromkeys(name for names in self.decl.sources.values() for name in names))


def resolve(recipe: Recipe) -> dict[str, Node]:
    """Nodes by name in an order in which each follows its inputs; RecipeError for anything that cannot be run."""
    for name, spec in recipe.inputs.items():
        if spec is not None:
            check_spec(spec, where=f"{recipe.input_where[name]}, input '{name}'")
    nodes: dict[str, Node] = {}
    for name in _order(recipe):
        decl = recipe.stages[name]
        stage = STAGES.load(decl.kind, where=decl.where)
        place = f"{decl.where} ({decl.kind})"
        params = parse_params(stage.params, decl.params, where=place, how=f"See `sampan do {decl.kind} --help`.")
        given = {
            role: [EXTERNAL if source in recipe.inputs else nodes[source].kind for source in names]
            for role, names in decl.sources.items()
        }
        stage.check_inputs(given, params, where=place)
        nodes[name] = Node(decl, stage, params, stage.kind(params, given))
    return nodes


def needed(nodes: Mapping[str, Node], targets: list[str]) -> dict[str, Node]:
    """The nodes that `targets` need, themselves included, in order; all of them if `targets` is empty."""
    if not targets:
        return dict(nodes)
    keep, todo = set(), list(targets)
    while todo:
        name = todo.pop()
        if name not in nodes:
            raise RecipeError(f"there is no stage '{name}'", where="--to", how=did_you_mean(name, nodes))
        if name not in keep:
            keep.add(name)
            todo += [parent for parent in nodes[name].parents if parent in nodes]
    return {name: node for name, node in nodes.items() if name in keep}


def lock(recipe: Recipe, nodes: Mapping[str, Node], pins: Mapping[str, str]) -> dict[str, Any]:
    """The recipe with every default, every revision and the digest of every input: what ships with a model."""
    return {
        "recipe": recipe.name,
        "sampan": __version__,
        "languages": recipe.languages,
        "use": recipe.use or "research",
        "inputs": {name: {"spec": spec, "digest": pins.get(name, "")} for name, spec in recipe.inputs.items()},
        "stages": {
            name: {
                "stage": node.decl.kind,
                "revision": node.stage.revision,
                "from": node.decl.sources,
                "with": all_values(node.params),
            }
            for name, node in nodes.items()
        },
    }


def identity_params(node: Node) -> dict[str, Any]:
    """What of a node's params enters its key."""
    return non_default(node.params)


def _order(recipe: Recipe) -> list[str]:
    """Stage names, each after its inputs, otherwise as written; RecipeError names unknown inputs and cycles."""
    known = [*recipe.inputs, *recipe.stages]
    done: dict[str, bool] = {}
    order: list[str] = []

    def visit(name: str, trail: list[str]) -> None:
        if done.get(name):
            return
        if name in trail:
            cycle = " -> ".join([*trail[trail.index(name) :], name])
            raise RecipeError(
                f"the stages go in a circle: {cycle}", where=recipe.stages[name].where, how="Cut one of these inputs."
            )
        for names in recipe.stages[name].sources.values():
            for source in names:
                if source not in known:
                    raise RecipeError(
                        f"there is no stage or input '{source}'",
                        where=recipe.stages[name].where,
                        how=did_you_mean(source, known),
                    )
                if source in recipe.stages:
                    visit(source, [*trail, name])
        done[name] = True
        order.append(name)

    for name in recipe.stages:
        visit(name, [])
    return order
