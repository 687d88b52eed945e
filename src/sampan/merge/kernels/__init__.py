"""Optional fused kernels: a method's whole chain in compiled loops, for bfloat16 checkpoints of a size worth it.

They come with the extra `sampan[kernels]` (numba). What they write is equal, bit for bit, to what the numpy path
writes, so neither having them nor using them is part of any identity. A method names its kernel in `Method.fused` as
`DROP+MIX`: `keep`, `dare`, `trim` or `magprune`, and `sum` or `elect`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from ...model.tensors import FlatTensor
from ..method import Method

WORTH = 500_000_000
"""Elements read from all models from which the kernels save more than numba's import (about a second) costs."""


def fused_chain(method: Method, base: object, models: Sequence[object], stored: str) -> Callable | None:
    """The method's chain over files, as `chain.run_chain` with its first arguments filled in; None where the method has
    none, an input or the output is not bfloat16 in a file, or numba is not there."""
    readers = [*([base] if base else []), *models]
    if not method.fused or stored != "BF16":
        return None
    if not all(isinstance(reader, FlatTensor) and reader.dtype == "BF16" for reader in readers):
        return None
    if load_compiled() is None:
        return None
    from .chain import run_chain

    return functools.partial(run_chain, method.fused, "lambda_" in method.knobs)


@functools.cache
def load_compiled() -> ModuleType | None:
    """The module of compiled loops, or None without numba. Machine code is kept in the user's cache folder."""
    try:
        import numba
    except ImportError:
        return None
    before = numba.config.CACHE_DIR
    if not before:
        numba.config.CACHE_DIR = str(cache_folder())
    try:
        from . import compiled
    finally:
        numba.config.CACHE_DIR = before
    return compiled


def cache_folder() -> Path:
    """Where compiled loops are kept: $NUMBA_CACHE_DIR if it is set, else in the user's cache folder."""
    if own := os.environ.get("XDG_CACHE_HOME"):
        return Path(own) / "sampan" / "numba"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "sampan" / "numba"
    home = Path.home()
    return (home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache") / "sampan" / "numba"
