"""Name the params and inputs that make two results differ, traced to the stages where the difference began. With one
name, compare its newest result with the one before."""

from __future__ import annotations

import argparse

from ..core.errors import StoreError
from ..recipe.explain import trace
from ..store.store import Store
from .main import add_store

EXAMPLES = """examples:
  sampan explain village/scores                     newest against the one before
  sampan explain village/cpt village/cpt_no_replay  two stages
  sampan explain village/cpt@2 village/cpt"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", help="recipe/stage, recipe/stage@N or the start of a digest")
    parser.add_argument("b", nargs="?", help="the other one (default: the result before A)")
    add_store(parser)


def call(options: argparse.Namespace) -> int:
    store = Store(options.store, create=False)
    if options.b is None:
        if "@" in options.a:
            raise StoreError("give two names, or one name without @")
        old, new = store.find(f"{options.a}@1"), store.find(options.a)
    else:
        old, new = store.find(options.a), store.find(options.b)
    if old["key"] == new["key"]:
        print("They are one and the same result.")
        return 0
    if old["digest"] == new["digest"]:
        print("Their contents are equal, byte for byte, though they were made differently:")
    for step, text in trace(store, old, new):
        print(f"{step}: {text}")
    return 0
