"""Which documents a trained scorer learns from: by the hash of their ids, so that neither order nor workers matter."""

from __future__ import annotations

import functools
import hashlib

from ..core.errors import RecipeError
from ..lang.codes import normalise_code


def id_hash(name: str) -> int:
    """A number below 2**64 that looks random."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def is_held_out(number: int, share: float) -> bool:
    """Whether the document with this hash only measures."""
    # The hash's high bits order documents when there are too many; its low ones decide this, apart from that.
    return (number & 0xFFFFFFFF) < share * 2**32


@functools.lru_cache(maxsize=4096)
def known_language(code: str) -> str:
    """The code of a language with a profile, '' for any other."""
    try:
        return normalise_code(code) if code else ""
    except RecipeError:
        return ""
