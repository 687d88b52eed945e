"""Optional compiled loops of the filters. They come with the extra `sampan[kernels]` (numba) and give what the filters
count without them, bit for bit; `lang.kernels.expect` says when they are worth their start."""

from __future__ import annotations

from types import ModuleType

from ...lang import kernels


def loops(name: str) -> ModuleType | None:
    """The module of loops of that name (`repeats`), where `lang.kernels.loops` would give one."""
    return kernels.loaded(f"sampan.corpus.kernels.{name}")
