"""Whether to keep, or to compute again in the backward pass, what can be had either way with the same bits."""

from __future__ import annotations

_ROOM = 64 << 20
"""Numbers of one kind that all blocks together may keep: 256 MiB in float32 (ours)."""


def has_room(numbers: int, blocks: int) -> bool:
    """Whether each of so many blocks may keep so many numbers until its backward pass."""
    return numbers * blocks <= _ROOM
