"""Which documents a trained scorer learns from: by the hash of their ids, so that neither order nor workers matter."""

from __future__ import annotations

import hashlib


def id_hash(name: str) -> int:
    """A number below 2**64 that looks random."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def is_held_out(number: int, share: float) -> bool:
    """Whether the document with this hash only measures."""
    # The hash's high bits order documents when there are too many; its low ones decide this, apart from that.
    return (number & 0xFFFFFFFF) < share * 2**32
