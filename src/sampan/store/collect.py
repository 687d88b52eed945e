"""Garbage collection: what no recipe's name reaches any more."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from .files import tree_bytes
from .store import Store

TRASH = "trash"


@dataclass(frozen=True)
class Garbage:
    """Folders and files that may go, and how many bytes that frees."""

    objects: list[Path]
    keys: list[Path]
    scratch: list[Path]
    trash: list[Path]
    bytes: int


def find_garbage(store: Store, *, keep_history: bool = False, scratch: bool = False) -> Garbage:
    """Everything not reached from a ref through the inputs of its manifest.

    `keep_history` keeps what names pointed at before. Of unfinished stages only the part that a restart throws away is
    garbage; with `scratch` also what they would resume from.
    """
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
    unfinished = [_leftover(path, whole=scratch) for path in sorted((store.root / "scratch").glob("*"))]
    unfinished = [path for path in unfinished if path.is_dir()]
    trash = sorted((store.root / TRASH).glob("*"))
    return Garbage(
        dead_objects, dead_keys, unfinished, trash, sum(map(tree_bytes, [*dead_objects, *unfinished, *trash]))
    )


def _leftover(folder: Path, *, whole: bool) -> Path:
    resumable = (folder / "state").is_dir() and any((folder / "state").iterdir())
    return folder / "out" if resumable and not whole else folder


def remove(store: Store, garbage: Garbage) -> None:
    """Delete keys first, and move each folder aside before emptying it.

    So a kill in between leaves files without a name, or a folder in the trash, and never a name without its files or an
    object that is there in part.
    """
    for path in garbage.keys:
        path.unlink(missing_ok=True)
    trash = store.root / TRASH
    trash.mkdir(exist_ok=True)
    for path in [*garbage.objects, *garbage.scratch]:
        aside = trash / f"{path.parent.name}-{path.name}.{os.getpid()}"
        os.rename(path, aside)
        shutil.rmtree(aside, ignore_errors=True)
    for path in garbage.trash:
        shutil.rmtree(path, ignore_errors=True)
