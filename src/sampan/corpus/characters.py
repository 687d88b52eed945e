"""What kind of character each code point is, as tables, so that a text's characters are sorted by one look-up."""

from __future__ import annotations

import functools

import numpy as np
import regex

from ..core.kept import kept
from ..lang.scripts import CHARACTER_WEIGHT, WRITTEN_IN, script_ranges
from .kernels import loops

POINTS = 0x40000
"""Code points with a kind of their own; those above (tags, private use) count as the last of these."""
BLANK, DIGIT, LETTER, SYMBOL, PAUSE, END, CLOSE, BULLET = (1 << bit for bit in range(8))
"""Bits of a character's kind. SYMBOL: no letter, mark, number, blank or everyday punctuation. PAUSE: a mark inside or
at the end of sentences. END: it ends a sentence. CLOSE: a bracket or quote that may follow such an end."""

# Punctuation of the region's scripts (Thai ฯ ๆ, Khmer ។, Burmese ။ …) is everyday punctuation.
_EVERYDAY = r".,;:!?'\"()\-–—…“”‘’«»/%、。，；：！？（）「」『』《》〈〉·・‐‑\u0B80-\u17FF"
_PATTERNS = {
    BLANK: r"\s",
    DIGIT: r"\p{Nd}",
    LETTER: r"\p{L}",
    SYMBOL: rf"[^\p{{L}}\p{{M}}\p{{N}}\s{_EVERYDAY}]",
    PAUSE: ".!?…,;។៕၊။。！？，；",
    END: ".!?…。！？｡।॥។៕៚။ฯ๚๛ຯ",
    CLOSE: r"\"'”’»」』）)\]",
    BULLET: "•‣●▪■◦·※►▶◆○□*",
}


@kept()
def kinds() -> np.ndarray:
    """Kind bits by code point [POINTS], uint8."""
    table = np.zeros(POINTS, np.uint8)
    text = "".join(map(chr, range(POINTS)))
    for bit, pattern in _PATTERNS.items():
        for run in regex.finditer(rf"[{pattern}]+", text, regex.V1):
            table[run.start() : run.end()] |= bit
    return table


@functools.cache
def _scripts() -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """(script number by code point, letters that one character is worth, number by script)."""
    numbers = {name: number for number, name in enumerate(sorted({name for *_, name in script_ranges()}), start=1)}
    script_P = np.zeros(POINTS, np.uint8)
    weight_P = (kinds() & LETTER > 0).astype(np.uint8)
    for first, last, name in script_ranges():
        script_P[first : last + 1] = numbers[name]
        weight_P[first : last + 1] = CHARACTER_WEIGHT.get(name, 1)
    return script_P, weight_P, numbers


def script_share(codepoints_C: np.ndarray, script: str) -> float:
    """`lang.scripts.own_script_share` of a text given as code points: weighted share of letters in `script`."""
    script_P, weight_P, numbers = _scripts()
    number = numbers[WRITTEN_IN.get(script, script)]
    if (compiled := loops("counts")) is not None:
        own, every = compiled.script_weights(codepoints_C, script_P, weight_P, number)
        return own / every if every else 0.0
    weights = np.take(weight_P, codepoints_C, mode="clip")
    own = np.take(script_P, codepoints_C, mode="clip") == number
    total = int(weights.sum())
    return int(weights[own].sum()) / total if total else 0.0
