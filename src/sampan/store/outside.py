"""Inputs from outside the store, pinned by the digest of their bytes: `file:`, `dir:`, `url:` and `hf:`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InputError, RecipeError
from ..core.identity import digest_file, digest_tree, digest_value, tree_files
from ..core.stage import EXTERNAL, Artifact
from .files import read_json, tree_bytes, write_atomic
from .remote import fetch_remote, open_remote, parse_url
from .store import MANIFEST, Store

REQUIRED = "REQUIRED"
"""In the place of a commit: whoever runs the recipe must choose it."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB = re.compile(r"hf:(?P<datasets>datasets/)?(?P<repo>[\w.-]+/[\w.-]+)(@(?P<commit>[^/]+))?(/(?P<part>.+))?")
"""`hf:org/name@commit` is a model; `hf:datasets/org/name@commit/data/th/*.parquet` a data set, or the files of it that
match a pattern."""


class DigestCache:
    """Digests of outside files, remembered by path, size and modification time, so that `plan` need not read them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._path = store.root / "cache" / "digests.json"
        self._known: dict[str, list] = read_json(self._path) or {}
        self._changed = False

    def file(self, path: Path) -> str:
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        known = self._known.get(str(path))
        if known and known[:-1] == stamp:
            return known[-1]
        digest = digest_file(path)
        self._known[str(path)] = [*stamp, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        if self._changed:
            write_atomic(self._path, json.dumps(self._known))
            self._changed = False


def check_spec(spec: str, *, where: str) -> str:
    """The spec if it is pinned and well-formed; RecipeError otherwise. Reads nothing."""
    if spec.startswith(("file:", "dir:")):
        return spec
    if spec.startswith("url:"):
        parse_url(spec, where=where)
        return spec
    match = _HUB.fullmatch(spec)
    if not match:
        raise RecipeError(
            f"'{spec}' is not an input",
            where=where,
            how="Write file:PATH, dir:PATH, url:ADDRESS, hf:org/name@<40-digit commit> (a model) or "
            "hf:datasets/org/name@<40-digit commit>.",
        )
    if match["commit"] == REQUIRED:
        return spec
    if not match["commit"] or not _COMMIT.fullmatch(match["commit"]):
        raise RecipeError(
            f"'{spec}' is not pinned: a branch or tag can move",
            where=where,
            how=f"Write hf:{match['datasets'] or ''}{match['repo']}@ and the 40 hex digits of a commit (on the hub: "
            "Files, History).",
        )
    return spec


def is_open(spec: str | None) -> bool:
    """Whether a recipe leaves it to whoever runs it where an input is, or at which commit."""
    return spec is None or (spec.startswith("hf:") and f"@{REQUIRED}" in spec)


def open_input(spec: str, name: str, cache: DigestCache, *, where: str) -> Artifact:
    """The artifact of an input spec.

    Local files and folders are digested (through the cache). A hub repository is identified by its name and commit and
    downloaded when it is run. The file at a URL is known by its digest: the one in the spec, and then it is downloaded
    when it is run, or the one found when it was first read, which is now. InputError if a path is missing.
    """
    check_spec(spec, where=where)
    if spec.startswith("hf:"):
        return Artifact(path=Path(spec), kind=EXTERNAL, digest=digest_value(["hub", spec]), name=name)
    if spec.startswith("url:"):
        path, digest = open_remote(spec, cache.store, where=where)
        return Artifact(path=path, kind=EXTERNAL, digest=digest, name=name)
    kind, _, text = spec.partition(":")
    path = Path(text)
    if kind == "file" and not path.is_file():
        raise InputError(
            f"input '{name}': no such file: {path}",
            where=where,
            how="It is a folder: write dir:." if path.is_dir() else f"Set it with --set inputs.{name}=PATH.",
        )
    if kind == "dir" and not path.is_dir():
        raise InputError(
            f"input '{name}': no such folder: {path}",
            where=where,
            how="It is a file: write file:." if path.is_file() else f"Set it with --set inputs.{name}=PATH.",
        )
    return Artifact(path=path.resolve(), kind=EXTERNAL, digest=_digest(path, cache), name=name)


def _digest(path: Path, cache: DigestCache) -> str:
    """Digest of a file's bytes or of a folder's files; the manifest of a folder that Sampan made holds times."""
    return cache.file(path) if path.is_file() else digest_tree(path, file_digest=cache.file, skip=[MANIFEST])


def fetch(artifact: Artifact, store: Store) -> Artifact:
    """The artifact with a local path: a hub repository is downloaded at its commit and a URL's file once; anything else
    is as it is."""
    if artifact.kind != EXTERNAL:
        return artifact
    match = _HUB.fullmatch(str(artifact.path))
    if not match:
        fetch_remote(artifact.path, artifact.digest, store)
        return artifact
    from huggingface_hub import snapshot_download

    options = {"revision": match["commit"], "allow_patterns": [match["part"]] if match["part"] else None}
    if match["datasets"]:  # plain files, without the links of the hub's own cache that lead out of the folder
        options |= {"repo_type": "dataset", "local_dir": store.root / "cache" / "hub" / artifact.digest}
    try:
        folder = Path(snapshot_download(match["repo"], **options))
    except Exception as error:  # the hub client raises many kinds for network, name and permission
        raise InputError(
            f"cannot download ({type(error).__name__}: {str(error)[:200]})",
            where=str(artifact.path),
            how="Check the network and the name; gated repositories need `hf auth login`.",
        ) from error
    if match["datasets"]:
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's notes, which are no data
    return Artifact(path=folder, kind=artifact.kind, digest=artifact.digest, name=artifact.name)


def check_unchanged(inputs: Sequence[Artifact], store: Store) -> None:
    """InputError if a local input is not what it was when the plan was made: the result would bear a wrong name."""
    cache = DigestCache(store)
    for item in inputs:
        if not item.path.exists():  # a hub repository, whose commit cannot change
            continue
        if _digest(item.path, cache) != item.digest:
            raise InputError(
                f"input '{item.name}' changed while the stage was reading it", where=str(item.path), how="Run again."
            )


def input_bytes(artifact: Artifact) -> int:
    """Size of an outside input on disk, 0 if it is not here yet."""
    if artifact.path.is_file():
        return artifact.path.stat().st_size
    return tree_bytes(artifact.path) if artifact.path.is_dir() and tree_files(artifact.path) else 0
