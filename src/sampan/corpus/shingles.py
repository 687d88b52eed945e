"""Texts as sets of hashed n-grams of words or clusters. Diacritics and tone marks stay: they make other words."""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from ..lang.profile import load_profile
from ..lang.segment import clusters, words

_FACTORS = np.random.Generator(np.random.PCG64(0x5A3FA0)).integers(1, 1 << 63, 64, dtype=np.uint64) * 2 + 1


def folded(text: str) -> str:
    """`text` without differences of letter case and blanks."""
    return " ".join(text.casefold().split())


def digest(text: str) -> bytes:
    """Sixteen bytes that are equal exactly for texts equal up to `folded`."""
    return hashlib.blake2b(folded(text).encode(), digest_size=16).digest()


def shingles(text: str, language: str, *, word_ngram: int, cluster_ngram: int) -> np.ndarray:
    """Sorted unique 64-bit hashes [S] of the n-grams; a text shorter than n is one n-gram, an empty one gives [0].

    Documents of unknown language are taken as clusters, which is right for every script.
    """
    if not language:
        units, n = [unit for unit in clusters(folded(text)) if not unit.isspace()], cluster_ngram
    else:
        spaced = load_profile(language).spaced
        units, n = words(folded(text), language), word_ngram if spaced else cluster_ngram
    hashes_U = np.fromiter(map(_hash, units), np.uint64, len(units))
    if not len(hashes_U):
        return hashes_U
    n = min(n, len(hashes_U))
    rows = len(hashes_U) - n + 1
    # A random linear form over the units' hashes, modulo 2**64, then mixed so that its high bits depend on all of it.
    sums = sum(hashes_U[shift : shift + rows] * _FACTORS[shift % 64] for shift in range(n))
    sums ^= sums >> np.uint64(32)
    sums *= np.uint64(0x9E3779B97F4A7C15)
    sums ^= sums >> np.uint64(29)
    return np.unique(sums)


@functools.lru_cache(maxsize=1 << 18)
def _hash(unit: str) -> int:
    return int.from_bytes(hashlib.blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Jaccard similarity of two sorted unique arrays; 0 if either is empty."""
    if not len(a) or not len(b):
        return 0.0
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both)
