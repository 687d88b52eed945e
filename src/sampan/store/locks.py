"""Locks that a killed process cannot leave behind: flock on a file, with the holder's name inside."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import StoreError

_POLL_SECONDS = 0.1


@contextmanager
def locked(path: Path, *, what: str, wait: bool, shared: bool = False) -> Iterator[None]:
    """Hold the lock at `path` for the block, alone or `shared`. Without `wait`, StoreError tells who holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        while not _take(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if not wait:
                raise StoreError(
                    f"another process is working on {what} ({_holder(path)})",
                    where=str(path.parent.parent),
                    how="Wait until it is done, or give --wait; to build apart from it, give another --store.",
                )
            time.sleep(_POLL_SECONDS)
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}, file)
        file.flush()
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def taken(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether this process holds the lock at `path` within the block; another's death frees it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        yield _take(file, fcntl.LOCK_EX, wait=wait)


def _take(file, how: int, *, wait: bool = False) -> bool:
    try:
        fcntl.flock(file, how | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['pid']}, since {holder['since']}"
    except (OSError, ValueError, KeyError):
        return "its name is not readable yet"
