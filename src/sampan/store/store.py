"""The store: results by digest, manifests by key, names that point at them.

    objects/<kind>/<digest>/   the files of an artifact and its manifest.json
    keys/<k>/<key>.json        the manifest of what was published for a stage key
    refs/<recipe>/<stage>.json which key a recipe's stage points at, and which it pointed at before
    scratch/<key>/             partial work: out/ (thrown away on a restart) and state/ (resumed from)
    locks/, cache/             flocks; digests of outside files by size and time

Everything is published by a rename, so a kill leaves either the whole of a thing or nothing of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ..core.disk import sync_folder, sync_tree
from ..core.errors import StoreError, did_you_mean
from ..core.identity import digest_tree
from ..core.stage import Artifact
from .files import disk_errors, read_json, safe_name, tree_bytes, write_atomic
from .locks import locked

FORMAT = "sampan-store/1"
MANIFEST = "manifest.json"
MAX_HISTORY = 20
_HEX = re.compile(r"[0-9a-f]{6,64}")


class Store:
    """A folder of artifacts. Opening one creates it; StoreError if the folder holds something else."""

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.root = Path(os.path.abspath(root))
        stamp = self.root / "FORMAT"
        if stamp.is_file():
            found = stamp.read_text(encoding="utf-8").strip()
            if found != FORMAT:
                raise StoreError(f"this store is {found}, this Sampan reads {FORMAT}", where=str(self.root))
        elif create:
            if self.root.exists() and not self._is_new():
                raise StoreError(
                    "this is something else than a store",
                    where=str(self.root),
                    how="Give another --store, or an empty folder.",
                )
            with disk_errors(self.root):
                write_atomic(stamp, FORMAT + "\n")

    def _is_new(self) -> bool:
        """Whether there is nothing yet but what a killed first opening leaves."""
        return self.root.is_dir() and all(path.name.startswith(".FORMAT.") for path in self.root.iterdir())

    # -- reading ----------------------------------------------------------------------------------------------------

    def lookup(self, key: str) -> dict[str, Any] | None:
        """The manifest published for a key, or None if there is none or its files are gone."""
        manifest = read_json(self._key_path(key))
        if manifest is None or not self.object_path(manifest["kind"], manifest["digest"]).is_dir():
            return None
        return manifest

    def object_path(self, kind: str, digest: str) -> Path:
        return self.root / "objects" / safe_name(kind, what="kind") / safe_name(digest, what="digest")

    def artifact(self, manifest: Mapping[str, Any], *, name: str = "") -> Artifact:
        """A manifest's artifact, under the name a recipe gives it."""
        path = self.object_path(manifest["kind"], manifest["digest"])
        return Artifact(
            path=path,
            kind=manifest["kind"],
            digest=manifest["digest"],
            name=name or manifest.get("name", ""),
            manifest=manifest,
        )

    def ref(self, recipe: str, stage: str) -> dict[str, Any] | None:
        """{"key", "digest", "before": [older keys]} of a recipe's stage, or None."""
        return read_json(self._ref_path(recipe, stage))

    def refs(self) -> Iterable[tuple[str, str, dict[str, Any]]]:
        """(recipe, stage, ref) of every name."""
        for path in sorted((self.root / "refs").glob("*/*.json")):
            yield path.parent.name, path.stem, read_json(path)

    def find(self, name: str) -> dict[str, Any]:
        """The manifest that a person means: `recipe/stage`, `recipe/stage@N` (N results ago), `stage` where only one
        recipe has it, or the first hex digits of a digest or key. StoreError if it is nothing or not one thing."""
        wanted, _, back = name.partition("@")
        known = {f"{recipe}/{stage}": ref for recipe, stage, ref in self.refs()}
        hits = [full for full in known if wanted in (full, full.split("/")[1])]
        if len(hits) == 1:
            ref = known[hits[0]]
            keys = [ref["key"], *ref.get("before", [])]
            step = int(back) if back.isdigit() else 0
            if step >= len(keys):
                raise StoreError(f"'{hits[0]}' has only {len(keys)} results, counted from @0", where=str(self.root))
            manifest = self.lookup(keys[step])
            if manifest is None:
                raise StoreError(
                    f"what '{name}' pointed at has been collected", where=str(self.root), how="Run the recipe again."
                )
            return manifest
        if len(hits) > 1:
            raise StoreError(f"'{name}' could be {' or '.join(sorted(hits))}", where=str(self.root))
        if back:
            raise StoreError(f"'{wanted}' is no recipe's stage, so it has no earlier results", where=str(self.root))
        return self._find_hex(wanted, known)

    def _find_hex(self, wanted: str, known: Mapping[str, Any]) -> dict[str, Any]:
        if _HEX.fullmatch(wanted):
            found = {}
            for manifest in self.manifests():
                if manifest["digest"].startswith(wanted) or manifest["key"].startswith(wanted):
                    found[manifest["digest"]] = manifest
            if len(found) == 1:
                return next(iter(found.values()))
            if found:
                raise StoreError(f"'{wanted}' is the beginning of {len(found)} digests", how="Give more digits.")
        raise StoreError(
            f"nothing here is called '{wanted}'",
            where=str(self.root),
            how=did_you_mean(wanted, known) or "The store is empty: run a recipe first.",
        )

    def manifests(self) -> Iterable[dict[str, Any]]:
        """Every published manifest."""
        for path in sorted((self.root / "keys").glob("*/*.json")):
            if manifest := self.lookup(path.stem):
                yield manifest

    # -- writing ----------------------------------------------------------------------------------------------------

    def scratch(self, key: str) -> tuple[Path, Path]:
        """(out, state) of a key: an empty folder to write the artifact in, and what earlier attempts left to resume."""
        base = self.root / "scratch" / safe_name(key, what="key")
        with disk_errors(self.root):
            shutil.rmtree(base / "out", ignore_errors=True)
            (base / "out").mkdir(parents=True)
            (base / "state").mkdir(exist_ok=True)
        return base / "out", base / "state"

    def publish(self, out: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Make the files in `out` the result of manifest["key"]; returns the manifest with its digest.

        The digest covers the files, not the manifest. Equal bytes are stored once. The first result published for a
        key wins; a later one is dropped.
        """
        key = manifest["key"]
        if (found := self.lookup(key)) is not None:
            return found
        with disk_errors(self.root):
            full = {**manifest, "digest": digest_tree(out), "bytes": tree_bytes(out)}
            text = json.dumps(full, ensure_ascii=False, indent=1, sort_keys=True)
            target = self.object_path(full["kind"], full["digest"])
            if not target.is_dir():
                (out / MANIFEST).write_text(text, encoding="utf-8")
                sync_tree(out)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.rename(out, target)
                except OSError:
                    if not target.is_dir():  # otherwise another stage has just made the same bytes
                        raise
                sync_folder(target.parent)
            write_atomic(self._key_path(key), text)
            shutil.rmtree(self.root / "scratch" / key, ignore_errors=True)
        return full

    def set_ref(self, recipe: str, stage: str, manifest: Mapping[str, Any]) -> None:
        """Point a recipe's stage at a published result, remembering what it pointed at before."""
        old = self.ref(recipe, stage)
        if old and old["key"] == manifest["key"]:
            return
        before = [old["key"], *old.get("before", [])] if old else []
        before = [key for key in before if key != manifest["key"]][:MAX_HISTORY]
        ref = {"key": manifest["key"], "digest": manifest["digest"], "before": before}
        with disk_errors(self.root):
            write_atomic(self._ref_path(recipe, stage), json.dumps(ref, indent=1))

    def lock(self, name: str, *, what: str, wait: bool, shared: bool = False) -> AbstractContextManager[None]:
        """A lock by name, exclusive unless `shared`; it falls when its holder dies."""
        path = self.root / "locks" / f"{safe_name(name, what='lock')}.lock"
        return locked(path, what=what, wait=wait, shared=shared)

    # -- names ------------------------------------------------------------------------------------------------------

    def _key_path(self, key: str) -> Path:
        safe_name(key, what="key")
        return self.root / "keys" / key[:2] / f"{key}.json"

    def _ref_path(self, recipe: str, stage: str) -> Path:
        return self.root / "refs" / safe_name(recipe, what="recipe") / f"{safe_name(stage, what='stage')}.json"
