"""Tables over all of Unicode, kept in the user's cache folder: making them takes longer than reading a thousand texts.

A kept table is known by the file that makes it and by the versions of what it is made from, so that it is made anew
when any of these change. Without a folder to write to, every process makes its own.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import os
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from .compiled import cache_folder


def kept(*modules: ModuleType) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """A decorator of functions without arguments that make a numpy array of numbers: it is made once a machine, and
    read once a process. All that it is made from stands in the function's file, in those of `modules`, in `regex` or
    in Python."""

    def decorate(function: Callable[[], Any]) -> Callable[[], Any]:
        @functools.cache
        def table() -> Any:
            import numpy as np

            path = _place(function, modules)
            with contextlib.suppress(OSError, ValueError, EOFError):
                return np.load(path, allow_pickle=False)
            made = function()
            with contextlib.suppress(OSError):
                _save(path, made)
            return made

        return functools.wraps(function)(table)

    return decorate


def _place(function: Callable, modules: Sequence[ModuleType]) -> Path:
    import regex

    made_from = [
        function.__qualname__,
        *(Path(inspect.getfile(each)).read_bytes() for each in (function, *modules)),
        sys.version,
        unicodedata.unidata_version,
        regex.__version__,
    ]
    name = hashlib.sha256(repr(made_from).encode()).hexdigest()[:32]
    return cache_folder().parent / "tables" / f"{name}.npy"


def _save(path: Path, table: Any) -> None:
    """Write a whole file or none: other processes may be reading and writing the same."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent)
    try:
        with open(handle, "wb") as file:
            np.save(file, table, allow_pickle=False)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
