"""Small file operations that survive a kill: atomic writes, safe names."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.disk import sync_folder
from ..core.errors import StoreError
from ..core.identity import tree_files

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RUST_ERROR = re.compile(r"\(os error (\d+)\)")


def safe_name(name: str, *, what: str) -> str:
    """`name` if it can be a file name inside the store and nowhere else; StoreError otherwise."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise StoreError(
            f"'{name}' cannot name a {what}",
            how="Use letters, digits, '.', '_' and '-', beginning with a letter or digit.",
        )
    return name


def write_atomic(path: Path, text: str) -> None:
    """Write a whole file or nothing: aside, fsync, rename, fsync the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def appended_lines(path: Path) -> list[str]:
    """Lines of a file that work in progress appends to, [] if it is not there.

    A last line that a kill cut off, perhaps inside a letter, is taken away; lines end at line feeds alone.
    """
    if not path.is_file():
        return []
    whole, end, cut = path.read_bytes().rpartition(b"\n")
    if cut:
        write_atomic(path, (whole + end).decode("utf-8"))
    return whole.decode("utf-8").split("\n") if whole else []


def read_json(path: Path) -> Any:
    """Parsed JSON, or None if there is no such file; StoreError if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StoreError(
            f"not valid JSON ({error})", where=str(path), how="Delete the file and run again: what it named is rebuilt."
        ) from None


def tree_bytes(folder: Path) -> int:
    """Size of the files below `folder`."""
    return sum((folder / name).stat().st_size for name in tree_files(folder))


@contextmanager
def disk_errors(root: Path, *, option: str = "--store") -> Iterator[None]:
    """Turn a full disk, a quota or a read-only folder into a StoreError that says what to do. `option` is how another
    place is named."""
    try:
        yield
    except Exception as error:
        number = _error_number(error)
        if number in (errno.ENOSPC, errno.EDQUOT):
            how = "Free space, or give another place with {option}."
            if option == "--store":
                how = (
                    "Nothing that was published is lost. Free space (`sampan gc --yes` drops what no recipe names), or "
                    "put the store elsewhere with --store, then run the same command again."
                )
            raise StoreError("the disk is full", where=str(root), how=how.format(option=option)) from error
        if number in (errno.EROFS, errno.EACCES, errno.EPERM):
            where = str(getattr(error, "filename", None) or root)
            raise StoreError(
                f"cannot write here ({os.strerror(number)})", where=where, how=f"Give another place with {option}."
            ) from error
        raise


def _error_number(error: Exception) -> int | None:
    """The system's number of an error. Libraries written in Rust, such as safetensors, have it in the text only."""
    if isinstance(error, OSError):
        return error.errno
    found = _RUST_ERROR.search(str(error))
    return int(found[1]) if found else None
