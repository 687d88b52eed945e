"""A bucket that machines without a common disk build into together: published results, and leases on stages.

    keys/<k>/<key>.json           the manifest of what was published for a stage key; created once, never changed
    objects/<kind>/<digest>/…     the files of an artifact
    leases/<key>/<n>.json         who has built this key the n-th time; the last one holds it

Every machine keeps a store of its own on its disk and takes from the bucket what it lacks. All that is asked of the
bucket is to create an object only if there is none of that name (S3's `If-None-Match`), by which one of two wins. A
holder rewrites its lease while it works. Whoever sees a lease stand still for `seconds` by its own clock creates the
next one, so clocks need not agree and a killed machine holds nothing for long.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import RecipeError, StoreError
from ..core.identity import digest_tree, tree_files
from .files import safe_name
from .store import FORMAT, MANIFEST, Store

BEATS = 6
"""How often a holder rewrites its lease in the time after which others take it over."""
LOOK_SECONDS = 2.0
"""The longest that a machine which waits for another's stage goes without looking whether it is done."""


@dataclass(frozen=True)
class SharedAt:
    """Where the bucket is, `s3://bucket/folder`, and after how many seconds of silence a lease falls."""

    url: str
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if "://" not in self.url or self.seconds <= 0:
            raise RecipeError(
                f"'{self.url}' with a lease of {self.seconds:g} s is no shared store",
                where="--remote",
                how="Write s3://BUCKET/FOLDER, and a lease of some seconds.",
            )


class Shared:
    """One bucket, as one process sees it. StoreError, with the address, for whatever the bucket answers wrong."""

    def __init__(self, at: SharedAt) -> None:
        import fsspec

        self.at = at
        with self._told():
            self._fs, root = fsspec.core.url_to_fs(at.url, use_listings_cache=False, skip_instance_cache=True)
        self._root = root.rstrip("/")

    def check(self) -> None:
        """StoreError unless the bucket can be written and refuses to create what there is, asked at any moment."""
        if not _creates_at_once(self._fs):
            raise StoreError(
                f"this {type(self._fs).__module__.split('.')[0]} looks whether an object is there and then creates it, "
                "so that two machines could build one stage",
                where=self.at.url,
                how="Run `pip install --upgrade 'sampan[remote]'`.",
            )
        stamp = f"{self._root}/FORMAT.json"
        value = {"format": FORMAT}
        if self._create(stamp, value) and self._create(stamp, value):
            raise StoreError(
                "this bucket creates an object that is there already, so that two machines could build one stage",
                where=self.at.url,
                how="Use one that heeds If-None-Match.",
            )
        if (found := self._read(stamp)) != value:
            raise StoreError(f"this shared store is {found}, this Sampan reads {value}", where=self.at.url)

    # -- results ----------------------------------------------------------------------------------------------------

    def lookup(self, key: str) -> dict[str, Any] | None:
        """The manifest that any machine has published for a key, or None."""
        return self._read(self._key_path(key))

    def take(self, manifest: Mapping[str, Any], store: Store) -> dict[str, Any]:
        """Bring a published result into this machine's store; StoreError if its files are not what was published."""
        out, _ = store.scratch(manifest["key"])
        away = self._object_path(manifest)
        with self._told():
            for name in sorted(self._sizes(away)):
                here = out / name[len(away) + 1 :]
                here.parent.mkdir(parents=True, exist_ok=True)
                self._fs.get_file(name, str(here))
        if digest_tree(out) != manifest["digest"]:
            raise StoreError(f"the files of {manifest['name']} are damaged in the bucket", where=away)
        return store.publish(out, manifest)

    def publish(self, manifest: Mapping[str, Any], store: Store) -> dict[str, Any]:
        """Put a result of this machine's store into the bucket, its key last; the first to put a key wins.

        Returns the manifest that stands in the bucket. Killed at any moment, what was put is put again by the next.
        """
        if (found := self.lookup(manifest["key"])) is not None:
            return found
        folder: Path = store.object_path(manifest["kind"], manifest["digest"])
        there = self._object_path(manifest)
        with self._told():
            whole = self._sizes(there)
            for name in tree_files(folder):
                if name != MANIFEST and whole.get(f"{there}/{name}") != (folder / name).stat().st_size:
                    self._fs.put_file(str(folder / name), f"{there}/{name}")
        if self._create(self._key_path(manifest["key"]), manifest):
            return dict(manifest)
        return self.lookup(manifest["key"]) or dict(manifest)

    # -- leases -----------------------------------------------------------------------------------------------------

    @contextmanager
    def lease(self, key: str) -> Iterator[dict[str, Any] | None]:
        """Hold the lease on a key for the block, or get the manifest that another machine has published meanwhile.

        Waits as long as another holds it and shows that it lives.
        """
        seen, since = None, time.monotonic()
        while True:
            number, last = self._last_lease(key)
            if (found := self.lookup(key)) is not None:  # last: a lease that is over may mean this
                yield found
                return
            if last != seen:
                seen, since = last, time.monotonic()
            free = last is None or last["over"] or time.monotonic() - since >= self.at.seconds
            mine = f"{self._root}/leases/{safe_name(key, what='key')}/{number + 1:06d}.json"
            if free and self._create(mine, _lease(0)):
                break
            time.sleep(min(self.at.seconds / BEATS, LOOK_SECONDS))
        if (found := self.lookup(key)) is not None:  # a holder that was slow, not dead
            self._write(mine, _lease(0, over=True))
            yield found
            return
        with self._beating(mine):
            yield None

    def _last_lease(self, key: str) -> tuple[int, dict[str, Any] | None]:
        with self._told():
            names = self._sizes(f"{self._root}/leases/{safe_name(key, what='key')}")
        if not names:
            return 0, None
        last = max(names)
        return int(Path(last).stem), self._read(last)

    @contextmanager
    def _beating(self, path: str) -> Iterator[None]:
        """Rewrite the lease until the block ends, and then say that it is over."""
        end = threading.Event()

        def beat() -> None:
            number = 0
            while not end.wait(self.at.seconds / BEATS):
                number += 1
                with contextlib.suppress(StoreError):  # an outage: the work goes on, and the next beat may get through
                    self._write(path, _lease(number))

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
            self._write(path, _lease(0, over=True))

    # -- objects ----------------------------------------------------------------------------------------------------

    def _key_path(self, key: str) -> str:
        return f"{self._root}/keys/{safe_name(key, what='key')[:2]}/{key}.json"

    def _object_path(self, manifest: Mapping[str, Any]) -> str:
        kind, digest = safe_name(manifest["kind"], what="kind"), safe_name(manifest["digest"], what="digest")
        return f"{self._root}/objects/{kind}/{digest}"

    def _sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every object below a folder, by name.

        A folder into which another machine puts its first object meanwhile may be listed as an object itself.
        """
        found = self._fs.find(folder, detail=True)
        return {name: fact["size"] for name, fact in found.items() if name.startswith(f"{folder}/")}

    def _read(self, path: str) -> dict[str, Any] | None:
        with self._told():
            try:
                return json.loads(self._fs.cat_file(path))
            except FileNotFoundError:
                return None

    def _write(self, path: str, value: Mapping[str, Any]) -> None:
        with self._told():
            self._fs.pipe_file(path, _bytes(value))

    def _create(self, path: str, value: Mapping[str, Any]) -> bool:
        """Whether this call made the object; False if there is one."""
        try:
            with self._told():
                self._fs.pipe_file(path, _bytes(value), mode="create")
        except StoreError:
            if self._read(path) is None:
                raise
            return False
        return True

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except ImportError as error:
            raise StoreError(
                f"a library is missing ({error})", where=self.at.url, how="Run `pip install 'sampan[remote]'`."
            ) from None
        except Exception as error:  # every file system of fsspec raises its own kinds
            raise StoreError(
                f"the shared store does not answer as it should ({type(error).__name__}: {str(error)[:200]})",
                where=self.at.url,
                how="Check the address, the network and your credentials. What was built stays in this machine's "
                "store; the same command goes on.",
            ) from error


def _creates_at_once(fs: Any) -> bool:
    """Whether creating an object that must not exist is one request of its own, not fsspec's question and then a write.

    s3fs learnt it in 2024.12; its older releases go by fsspec's own way, which is only sound on a local disk.
    """
    from fsspec import AbstractFileSystem

    local = "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
    if fs.async_impl:
        return "mode" in inspect.signature(fs._pipe_file).parameters
    return local or type(fs).pipe_file is not AbstractFileSystem.pipe_file


def _lease(beat: int, *, over: bool = False) -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "beat": beat, "over": over}


def _bytes(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode()
