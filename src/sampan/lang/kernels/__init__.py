"""Optional compiled loops for reading text: n-grams of identification, counting units and their hashes.

They come with the extra `sampan[kernels]` (numba) and give what `ngrams` and `units` give, bit for bit.
"""

from __future__ import annotations

from types import ModuleType

from ...core.compiled import load_compiled

WORTH = 600
"""Texts of a process from which the loops save more than numba's start (about a third of a second) costs."""
_texts = 0


def expect(texts: int) -> None:
    """Say that so many texts will be read, so that the loops are loaded before the first if they are worth it."""
    global _texts
    _texts += texts


def loops(name: str) -> ModuleType | None:
    """The module of loops of that name (`grams`, `words`), once WORTH texts are known of; None before, and without
    numba."""
    return loaded(f"sampan.lang.kernels.{name}")


def loaded(module: str) -> ModuleType | None:
    """The module of loops of that full name, under the same condition."""
    return load_compiled(module) if _texts >= WORTH else None
