"""Find what no recipe's name reaches any more: older results, and partial work of stages that will not be resumed.
Shows it; deletes it with --yes."""

from __future__ import annotations

import argparse

from ..store.collect import find_garbage, remove
from ..store.store import Store
from .main import add_store
from .text import size

EXAMPLES = """examples:
  sampan gc                    what could go
  sampan gc --yes              let it go
  sampan gc --keep-history     but keep what names pointed at before"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="delete")
    parser.add_argument("--keep-history", action="store_true", help="keep earlier results of named stages")
    add_store(parser)


def call(options: argparse.Namespace) -> int:
    store = Store(options.store)
    with store.lock("users", what="a recipe in this store", wait=False):
        garbage = find_garbage(store, keep_history=options.keep_history)
        for path in garbage.objects + garbage.scratch:
            print(path.relative_to(store.root))
        text = f"{len(garbage.objects)} objects and {len(garbage.scratch)} unfinished stages, {size(garbage.bytes)}"
        if options.yes:
            remove(garbage)
            print(f"deleted {text}")
        else:
            print(f"{text} could be deleted; give --yes to do it")
    return 0
