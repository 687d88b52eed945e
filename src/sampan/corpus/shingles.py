"""Texts as sets of hashed n-grams of units: words where the script has spaces, clusters where it has none.

The script decides, character by character, not the language label: copies of a text are found however they are
labelled. Diacritics and tone marks stay, because they make other words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ..core.kept import kept
from ..lang.units import codepoints, ngram_hashes, units

_SPACELESS = np.array(
    [
        *(0x0E00, 0x0F00),  # Thai, Lao: first code point, and the one after the last
        *(0x1000, 0x10A0),  # Burmese
        *(0x1780, 0x1800),  # Khmer
        *(0x3040, 0x3100),  # Kana
        *(0x3400, 0xA000),  # Han
        *(0xAA60, 0xAA80),  # Burmese
        *(0xF900, 0xFB00),  # Han
        *(0x20000, 0x40000),  # Han
    ],
    np.uint32,
)


_FOLDED_POINTS = 0x20000
"""Scripts with capital letters, and blanks, are all below."""


def folded(texts: Sequence[str]) -> list[str]:
    """The texts without differences of letter case and between kinds of blanks, every character at its place."""
    points = codepoints("\0".join(texts))
    counted = _fold_table().take(points, mode="clip")
    high = points >= _FOLDED_POINTS
    if high.any():
        counted[high] = points[high]
    together = counted.tobytes().decode("utf-32-le", "surrogatepass")
    ends = np.cumsum([len(text) + 1 for text in texts]).tolist()
    return [together[end - len(text) - 1 : end - 1] for text, end in zip(texts, ends, strict=True)]


@kept()
def _fold_table() -> np.ndarray:
    """What each code point counts as: its case folding where that is one character, U+0020 for any blank."""
    characters = "".join(map(chr, range(_FOLDED_POINTS)))
    folds = map(str.casefold, characters)
    counted = "".join(fold if len(fold) == 1 else char for char, fold in zip(characters, folds, strict=True))
    table = codepoints(counted).copy()
    table[np.fromiter(map(str.isspace, characters), bool, len(characters))] = ord(" ")
    return table


def digest(folded_text: str) -> bytes:
    """Sixteen bytes that are equal exactly for folded texts that are equal but for blanks."""
    content = folded_text.encode("utf-8", "surrogatepass").translate(None, b" ")
    return hashlib.blake2b(content, digest_size=16).digest()


def shingles(texts: Sequence[str], *, word_ngram: int, cluster_ngram: int) -> tuple[np.ndarray, np.ndarray]:
    """(hashes [S] uint32, offsets [D + 1] int64): the set of text d is hashes[offsets[d]:offsets[d + 1]], sorted.

    A text shorter than n units is one n-gram; one without any unit is an empty set. Hashes of 32 bits mistake one
    n-gram in some millions, which moves no similarity by more than that.
    """
    found = units("\n".join(texts), False)
    ends = np.cumsum([len(text) + 1 for text in texts])
    owner_U = np.searchsorted(ends, found.starts_U, side="right")
    size_D = np.bincount(owner_U, minlength=len(texts))
    first_D = np.concatenate([[0], np.cumsum(size_D)])
    first_points = found.codepoints_C[found.starts_U]
    spaceless_U = np.searchsorted(_SPACELESS, first_points, side="right") % 2
    spaceless_D = np.bincount(owner_U, spaceless_U, minlength=len(texts)) * 2 > size_D
    keys = [np.zeros(0, np.uint64)]
    for n in {word_ngram, cluster_ngram}:
        wanted_D = np.where(spaceless_D, cluster_ngram, word_ngram) == n
        hashes = ngram_hashes(found, n)
        starts = owner_U[: len(hashes)]
        kept = (starts == owner_U[n - 1 :][: len(hashes)]) & wanted_D[starts]
        keys.append(_key(starts[kept], hashes[kept]))
        short = np.flatnonzero(wanted_D & (size_D > 0) & (size_D < n))
        for d in short.tolist():
            whole = ngram_hashes(found.hashes_U[first_D[d] : first_D[d + 1]], int(size_D[d]))
            keys.append(_key(np.array([d]), whole))
    keys_S = np.sort(np.concatenate(keys))
    new_S = np.ones(len(keys_S), bool)
    new_S[1:] = keys_S[1:] != keys_S[:-1]
    keys_S = keys_S[new_S]
    offsets = np.searchsorted(keys_S, np.arange(len(texts) + 1, dtype=np.uint64) << np.uint64(32))
    return keys_S.astype(np.uint32), offsets


def _key(text_S: np.ndarray, hashes_S: np.ndarray) -> np.ndarray:
    """Sorts by text, then by the upper half of the hash."""
    return text_S.astype(np.uint64) << np.uint64(32) | hashes_S >> np.uint64(32)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """uint64 numbers scrambled so that all bits of each depend on all of it (the finaliser of SplitMix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def jaccard(a: np.ndarray, b: np.ndarray, *, at_least: float = 0.0) -> float:
    """Jaccard similarity of two sorted unique arrays; 0 if either is empty, or if their sizes alone rule out
    `at_least`."""
    small, large = sorted((len(a), len(b)))
    if not small or small < at_least * large:
        return 0.0
    together = np.sort(np.concatenate([a, b]))
    both = int(np.count_nonzero(together[1:] == together[:-1]))
    return both / (small + large - both)
