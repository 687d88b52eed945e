"""Modules of loops that numba compiles: loaded where numba is installed (the extra `sampan[kernels]`), else not.

What such a module computes is equal, bit for bit, to what the plain path beside it computes, so that neither having
numba nor using it is part of any identity. Machine code is kept in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_BLAS = "scipy.linalg.cython_blas"


def compiled(function: Callable) -> Callable:
    """A decorator of the functions in such modules: without Python's lock, kept on disk, and with numpy's rules for
    numbers. Their file is what tells a stale copy on disk, so that a change to what they call must touch it too."""
    import numba

    return _loads_alone(numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def leaf(function: Callable) -> Callable:
    """As `compiled`, for functions that make no array and give none back: they count no references, which else takes
    longer than most of them, with an atomic step for every array at every call."""
    import numba

    return _loads_alone(numba.njit(nogil=True, cache=True, error_model="numpy", _nrt=False)(function))


def _loads_alone(function: Any) -> Any:
    """Have machine code that is kept loaded without all that numba knows of types and functions: only compiling asks
    for that, and reads it then. It takes a tenth of a second."""
    from numba.core.runtime import rtsys

    cache = getattr(function, "_cache", None)
    if not (hasattr(cache, "_load_overload") and hasattr(cache, "_guard_against_spurious_io_errors")):
        return function  # a numba built in another way, or told not to compile

    def load_overload(signature: Any, context: Any) -> Any:
        rtsys.initialize(context)
        with cache._guard_against_spurious_io_errors():
            return cache._load_overload(signature, context)

    cache.load_overload = load_overload
    return function


@functools.cache
def load_compiled(module: str) -> ModuleType | None:
    """The module of that full name, or None without numba. Importing numba takes a seventh of a second."""
    numba: Any = _numba()
    if numba is None:
        return None
    before = numba.config.CACHE_DIR
    if not before:
        numba.config.CACHE_DIR = str(cache_folder())
    try:
        return importlib.import_module(module)
    finally:
        numba.config.CACHE_DIR = before


def _numba() -> ModuleType | None:
    """The garbage collector waits while numba is imported, and passes over what is there by then ever after: what a
    library makes on import stays, and looking it through again and again takes a third of the import and a twentieth of
    what follows."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        with _without_blas():
            import numba
        gc.freeze()
        return numba
    except ImportError:
        return None
    finally:
        if collecting:
            gc.enable()


@contextlib.contextmanager
def _without_blas() -> Iterator[None]:
    """Keep numba's import from looking for SciPy's BLAS, which takes a third of it: no loop here multiplies matrices.
    Afterwards numba takes it for there wherever SciPy is, and looks when a function first needs it."""
    if _BLAS in sys.modules or "numba" in sys.modules:
        yield
        return
    sys.modules[_BLAS] = None  # type: ignore[assignment] - what the import system takes for "there is none"
    try:
        yield
    finally:
        del sys.modules[_BLAS]
    arrays = sys.modules.get("numba.np.arraymath")
    if arrays is not None and hasattr(arrays, "_HAVE_BLAS") and find_spec("scipy") is not None:
        arrays._HAVE_BLAS = True


def cache_folder() -> Path:
    """Where compiled loops are kept unless $NUMBA_CACHE_DIR is set: in the user's cache folder."""
    if own := os.environ.get("XDG_CACHE_HOME"):
        return Path(own) / "sampan" / "numba"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "sampan" / "numba"
    home = Path.home()
    return (home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache") / "sampan" / "numba"
