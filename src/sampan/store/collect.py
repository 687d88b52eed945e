"""Garbage collection: what no recipe's name reaches any more."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from .files import tree_bytes
from .store import Store


@dataclass(frozen=True)
class Garbage:
    """Folders and files that may go, and how many bytes that frees."""

    objects: list[Path]
    keys: list[Path]
    scratch: list[Path]
    bytes: int


def find_garbage(store: Store, *, keep_history: bool = False) -> Garbage:
    """Everything not reached from a ref through the inputs of its manifest. `keep_history` keeps older results too."""
    todo = []
    for _, _, ref in store.refs():
        todo += [ref["key"], *(ref.get("before", []) if keep_history else [])]
    keys: set[str] = set()
    objects: set[Path] = set()
    while todo:
        key = todo.pop()
        if key in keys or (manifest := store.lookup(key)) is None:
            continue
        keys.add(key)
        objects.add(store.object_path(manifest["kind"], manifest["digest"]))
        todo += [item["key"] for items in manifest["inputs"].values() for item in items if item.get("key")]
    dead_objects = [path for path in sorted((store.root / "objects").glob("*/*")) if path not in objects]
    dead_keys = [path for path in sorted((store.root / "keys").glob("*/*.json")) if path.stem not in keys]
    scratch = sorted((store.root / "scratch").glob("*"))
    return Garbage(dead_objects, dead_keys, scratch, sum(tree_bytes(path) for path in dead_objects + scratch))


def remove(garbage: Garbage) -> None:
    """Delete keys first, so that a kill in between leaves orphaned files and never a name without its files."""
    for path in garbage.keys:
        path.unlink(missing_ok=True)
    for path in garbage.objects + garbage.scratch:
        shutil.rmtree(path, ignore_errors=True)
