"""Hashed character n-grams of a text, all of them at once: array work over its code points, no loop per n-gram.

Letters are lowered and everything else becomes one blank, so that blanks are word boundaries: n-grams may begin or end
with one and never span it. Whole words are features too. A feature is a place in a table of 2**bits rows.
"""

from __future__ import annotations

import unicodedata

import numpy as np

from ..core.kept import kept

BLANK = 32
STEP, WORD, MIX = np.uint32(0x01000193), np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B)
"""Multipliers of the rolling hash (FNV's prime), of words, and of the last mixing. Part of a model's format."""
PLACE = np.uint32(0x27D4EB2F)
"""Factor of a word's first letter; each letter after it has two more."""


_PLANES = ((0, 0x40000), (0xE0000, 0xE0200))
"""Code points among which all letters and marks are; the rest is unassigned or for private use."""


@kept()
def letter_table() -> np.ndarray:
    """For each code point its own value if it is a letter or a mark, else a blank (uint32); the last entry stands for
    all code points above."""
    table = np.full(_PLANES[-1][1], BLANK, np.uint32)
    for first, end in _PLANES:
        kinds = "".join(map(unicodedata.category, map(chr, range(first, end)))).encode()
        kinds = np.frombuffer(kinds, np.uint8)[::2]  # a category is two letters: the first says what kind
        points = first + np.flatnonzero((kinds == ord("L")) | (kinds == ord("M")))
        table[points] = points
    return table


def padded_codes(text: str) -> np.ndarray:
    """The characters of `text` in lower case between two blanks (uint32)."""
    return np.frombuffer(f" {text.lower()} ".encode("utf-32-le", "surrogatepass"), dtype="<u4")


def letter_codes(text: str) -> np.ndarray:
    """uint32[L]: the lowered letters and marks of `text`, words parted by one blank, a blank at both ends."""
    codes = padded_codes(text)
    codes = np.take(letter_table(), codes, mode="clip")
    blank = codes == BLANK
    keep = np.ones(len(codes), bool)
    np.logical_not(blank[1:] & blank[:-1], out=keep[1:])
    return codes[keep]


def feature_places(codes: np.ndarray, longest: int, bits: int) -> np.ndarray:
    """int64[F]: the table rows of every n-gram of 1..`longest` letters and of every word, with repeats.

    `codes` as `letter_codes` gives them. Places are the same on every machine.
    """
    blank = codes == BLANK
    found = []
    hashes = codes * STEP
    found.append(hashes[~blank])
    inside = blank  # becomes: whether the n-gram at a place has a blank that is neither its first nor its last letter
    for n in range(2, longest + 1):
        if len(codes) < n:
            break
        hashes = (hashes[:-1] ^ codes[n - 1 :]) * STEP + np.uint32(n)
        inside = np.zeros(len(hashes), bool) if n == 2 else inside[:-1] | blank[n - 2 : -1]
        found.append(hashes[~inside])
    found.append(_word_hashes(codes, blank))
    mixed = np.concatenate(found)
    mixed ^= mixed >> np.uint32(15)
    mixed *= MIX
    return (mixed >> np.uint32(32 - bits)).astype(np.int64)


def _word_hashes(codes: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """uint32[W]: one hash a word: a sum of its letters, each times a factor of its place in the word."""
    ends = np.flatnonzero(blank)
    if len(ends) < 2:
        return np.zeros(0, np.uint32)
    starts = ends[:-1] + 1
    place = np.arange(len(codes), dtype=np.uint32)
    place[1:] -= np.repeat(starts.astype(np.uint32), np.diff(ends))
    terms = (codes * MIX) ^ ((codes + place) * WORD)
    terms *= (place << np.uint32(1)) + PLACE
    return np.add.reduceat(terms, starts, dtype=np.uint32) * WORD
