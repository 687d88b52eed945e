"""Find what no recipe's name reaches any more: older results, and what unfinished stages would not resume from. Shows
it; deletes it with --yes."""

from __future__ import annotations

import argparse

from ..store.collect import find_garbage, remove
from ..store.store import Store
from .main import add_store
from .text import size

EXAMPLES = """examples:
  sampan gc                    what could go
  sampan gc --yes              let it go
  sampan gc --keep-history     but keep what names pointed at before
  sampan gc --yes --scratch    also what unfinished stages would resume from"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="delete")
    parser.add_argument("--keep-history", action="store_true", help="keep earlier results of named stages")
    parser.add_argument("--scratch", action="store_true", help="also the partial work that a run would resume from")
    add_store(parser)


def call(options: argparse.Namespace) -> int:
    store = Store(options.store, create=False)
    with store.lock("users", what="a recipe in this store", wait=False):
        garbage = find_garbage(store, keep_history=options.keep_history, scratch=options.scratch)
        for path in garbage.objects + garbage.scratch + garbage.trash:
            print(path.relative_to(store.root))
        rest = len(garbage.scratch) + len(garbage.trash)
        text = f"{len(garbage.objects)} objects and {rest} unfinished or half deleted, {size(garbage.bytes)}"
        if options.yes:
            remove(store, garbage)
            print(f"deleted {text}")
        else:
            print(f"{text} could be deleted; give --yes to do it")
    return 0
