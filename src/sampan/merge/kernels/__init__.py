"""Optional fused kernels: a method's whole chain in compiled loops, for bfloat16 checkpoints of a size worth it.

They come with the extra `sampan[kernels]` (numba). What they write is equal, bit for bit, to what the numpy path
writes, so neither having them nor using them is part of any identity. A method names its kernel in `Method.fused` as
`DROP+MIX`: `keep`, `dare`, `trim` or `magprune`, and `sum` or `elect`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import ModuleType

from ...core.compiled import load_compiled as load_module
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


def load_compiled() -> ModuleType | None:
    """The module of compiled loops, or None without numba."""
    return load_module("sampan.merge.kernels.compiled")
