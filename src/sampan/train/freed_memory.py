"""Freed memory stays with the process while it trains.

A step frees and asks for the same few hundred megabytes again and again. glibc gives the end of its heap back to the
system whenever it is free, and every page of it costs a fault when it is asked for again: 5,000 to 10,000 faults a step
of the model in `benchmarks/train_vs_peers.py`, 1 to 2 % of its time.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM, _MAP = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h: above so many free bytes the heap's end is given back, and larger
pieces never come from the heap."""
_ALL = 1 << 30
_USUAL = {_TRIM: 64 << 20, _MAP: 32 << 20}
"""What glibc's own rule ends at once a piece of 32 MiB or more has been freed."""


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep it inside, and give it back at the end. Does nothing where malloc is not glibc's."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    for name in _USUAL:
        library.mallopt(name, _ALL)
    try:
        yield
    finally:
        for name, value in _USUAL.items():
            library.mallopt(name, value)
        library.malloc_trim(0)
