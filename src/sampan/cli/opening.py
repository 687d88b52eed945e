"""From command-line options to a store and a plan."""

from __future__ import annotations

import argparse

from ..recipe.load import load_recipe
from ..recipe.plan import Plan, make_plan
from ..recipe.resolve import needed, resolve
from ..store.store import Store


def open_plan(options: argparse.Namespace) -> tuple[Plan, Store]:
    """The plan of the recipe that the options name, in the store that they name."""
    recipe = load_recipe(options.recipe, options.settings, options.variants)
    nodes = resolve(recipe)
    nodes = needed(nodes, options.targets or [name for name in nodes if name not in recipe.optional])
    store = Store(options.store)
    return make_plan(recipe, nodes, store), store
