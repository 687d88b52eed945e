"""One bar over work in several parts, each of which counts in a unit of its own."""

from __future__ import annotations

from collections.abc import Callable

from ..core.stage import Runtime
from .team import Progress


def parts_of_bar(runtime: Runtime, base: int, total: int) -> Callable[[int], Progress]:
    """Each call takes the next `size` questions of the bar from `base` on, and returns a callback for any own unit."""
    start = base

    def part(size: int) -> Progress:
        nonlocal start
        here, start = start, start + size
        return lambda done, of: runtime.progress(here + size * done // max(1, of), total, "questions")

    return part
