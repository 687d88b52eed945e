"""Modules of loops that numba compiles: loaded where numba is installed (the extra `sampan[kernels]`), else not.

What such a module computes is equal, bit for bit, to what the plain path beside it computes, so that neither having
numba nor using it is part of any identity. Machine code is kept in the user's cache folder.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType


@functools.cache
def load_compiled(module: str) -> ModuleType | None:
    """The module of that full name, or None without numba. Importing numba takes about half a second."""
    try:
        import numba
    except ImportError:
        return None
    before = numba.config.CACHE_DIR
    if not before:
        numba.config.CACHE_DIR = str(cache_folder())
    try:
        return importlib.import_module(module)
    finally:
        numba.config.CACHE_DIR = before


def cache_folder() -> Path:
    """Where compiled loops are kept unless $NUMBA_CACHE_DIR is set: in the user's cache folder."""
    if own := os.environ.get("XDG_CACHE_HOME"):
        return Path(own) / "sampan" / "numba"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "sampan" / "numba"
    home = Path.home()
    return (home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache") / "sampan" / "numba"
