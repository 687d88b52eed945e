"""Show one artifact: what it is, what it was made from and with, what came out, and its first rows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..core.identity import tree_files
from ..core.lines import lines_of
from ..store.store import MANIFEST, Store
from .main import add_store
from .text import duration, size, table

EXAMPLES = """examples:
  sampan show                      all names in the store
  sampan show village/cpt          the newest result of a stage
  sampan show village/cpt@1        the one before it
  sampan show 3fa9c1               by the first digits of its digest"""

WIDTH = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="recipe/stage, stage, recipe/stage@N, or the start of a digest")
    parser.add_argument("--json", action="store_true", help="the manifest as JSON")
    parser.add_argument("--path", action="store_true", help="only the folder that holds its files")
    parser.add_argument("--rows", type=int, default=3, metavar="N", help="sample rows to show (default 3, at most 5)")
    add_store(parser)


def call(options: argparse.Namespace) -> int:
    store = Store(options.store, create=False)
    if options.name is None:
        print(_names(store))
        return 0
    manifest = store.find(options.name)
    folder = store.object_path(manifest["kind"], manifest["digest"])
    if options.path:
        print(folder)
    elif options.json:
        print(json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True))
    else:
        print(_render(manifest, folder, options.rows))
    return 0


def _names(store: Store) -> str:
    rows = []
    for recipe, stage, ref in store.refs():
        manifest = store.lookup(ref["key"])
        kind, amount = (manifest["kind"], size(manifest["bytes"])) if manifest else ("collected", "")
        rows.append([f"{recipe}/{stage}", kind, ref["digest"][:8], amount])
    return table(["name", "kind", "digest", "size"], rows, right=(3,)) if rows else "The store is empty."


def _render(manifest: dict[str, Any], folder: Path, rows: int) -> str:
    times = manifest["times"]
    lines = [
        f"{manifest['name']}: {manifest['kind']}, made by {manifest['stage']} (revision {manifest['revision']})",
        f"digest   {manifest['digest']}",
        f"key      {manifest['key']}",
        f"built    {times['started']} in {duration(times['seconds'])}, {size(manifest['bytes'])}",
        f"licences {', '.join(manifest['licenses']) or 'none stated'}",
        "",
        "inputs",
    ]
    for role, items in manifest["inputs"].items():
        lines += [f"  {role}: {item['name']} ({item['kind']} {item['digest'][:8]})" for item in items]
    lines += ["", "params (* = not the default)"]
    for name, value in manifest["params"].items():
        star = "*" if name in manifest["given_params"] else " "
        lines.append(f" {star}{name}: {_short(value)}")
    lines += ["", "metrics"]
    lines += [f"  {name}: {_short(value)}" for name, value in manifest["metrics"].items()]
    lines += ["", f"files in {folder}"]
    lines += [f"  {name}  {size((folder / name).stat().st_size)}" for name in tree_files(folder) if name != MANIFEST]
    return "\n".join(lines + _samples(folder, rows))


def _samples(folder: Path, count: int) -> list[str]:
    """The first rows of a table artifact, from the preview that its writer left."""
    preview = folder / "preview.jsonl"
    if not preview.is_file() or not count:
        return []
    lines = ["", "first rows"]
    for line in lines_of(preview)[:count]:
        lines += [f"  {key}: {_short(value)}" for key, value in json.loads(line).items() if value] + ["  --"]
    return lines[:-1]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", "⏎")
    return text if len(text) <= WIDTH else text[:WIDTH] + "…"
