"""Digests: canonical JSON of values, bytes of files, trees of files, and the key of a stage."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from .errors import InputError


def canonical_json(value: Any) -> str:
    """One spelling for equal values: sorted keys, no blanks, UTF-8 kept as it is.

    Sets, NaN, infinities, paths and unknown types have no single spelling and raise TypeError or ValueError,
    so that nothing about this machine can leak into an identity.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place in an identity")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, PurePath):
        raise TypeError(f"a path ({value}) names a place, not a content; give its digest")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("mapping keys must be strings")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical spelling")


def digest_text(text: str) -> str:
    """SHA-256 of a string's UTF-8 bytes, as 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def unit_interval(salt: str, text: str) -> float:
    """A place in 0..1 that depends on nothing but the salt and the text, evenly spread over texts: what lies below a
    share is held out, in any order and on any machine.
    """
    return int.from_bytes(hashlib.sha256(f"{salt}\0{text}".encode()).digest()[:8], "big") / 2**64


def digest_value(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return digest_text(canonical_json(value))


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read through one buffer. InputError for a pipe or device, which has no end."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise InputError("this is not a plain file", where=str(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_files(folder: Path) -> list[str]:
    """Relative POSIX paths of the files below `folder`, sorted.

    InputError for a linked folder or one that cannot be read: what lies behind it would be used without being counted;
    and for a name that is not UTF-8, which no row could bear.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"this folder cannot be read ({error.strerror})", where=str(error.filename)) from None

    found = []
    for root, dirs, names in os.walk(folder, onerror=refuse):
        for name in dirs:
            if os.path.islink(os.path.join(root, name)):
                raise InputError(
                    "a folder inside this input is a link",
                    where=os.path.join(root, name),
                    how="Put the folder itself there, or give it as an input of its own.",
                )
        found += [Path(root, name).relative_to(folder).as_posix() for name in names]
    for name in found:
        if not name.isascii() and name.encode("utf-8", "replace").decode("utf-8") != name:
            raise InputError(
                "a file's name is not UTF-8",
                where=os.path.join(folder, name).encode("utf-8", "backslashreplace").decode("utf-8"),
                how="Rename it, for instance with `convmv -f iso-8859-1 -t utf-8 -r --notest DIR`.",
            )
    return sorted(found)


def digest_tree(folder: Path, *, file_digest=digest_file, skip: Sequence[str] = ()) -> str:
    """Digest of a folder: the sorted list of (relative path, digest of bytes), without the files named in `skip`.

    Times and modes do not count.
    """
    return digest_value([[name, file_digest(folder / name)] for name in tree_files(folder) if name not in skip])


@functools.cache
def digest_resources(package: str, folder: str) -> str:
    """Digest of the files in a folder that comes with a package."""
    from importlib import resources  # takes longer to import than most commands to run

    root = resources.files(package) / folder
    found = sorted(item.name for item in root.iterdir() if item.is_file())
    return digest_value([[name, hashlib.sha256((root / name).read_bytes()).hexdigest()] for name in found])


def stage_key(stage: str, revision: int, params: Mapping[str, Any], inputs: Mapping[str, Sequence[str]]) -> str:
    """The identity of one stage's result: what is run, with which non-default params, on which content.

    `inputs` maps a role to the content digests it was given, in order. Code, machine, paths and worker counts do
    not enter (a stage's `revision` is raised when its meaning changes).
    """
    return digest_value(["stage-key/1", stage, revision, dict(params), {k: list(v) for k, v in inputs.items()}])
