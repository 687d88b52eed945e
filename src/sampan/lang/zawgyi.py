"""Burmese typed for the Zawgyi font: same code points, other meaning, so it must be found before it is used.

Zawgyi writes in visual order and spends code points on glyph variants. Rules of Unicode Burmese that Zawgyi breaks are
counted against those that it keeps (after the discussion of the two encodings in Unicode Technical Note 11).
"""

from __future__ import annotations

import regex

# Impossible or rare in Unicode Burmese: the vowel E at the head of a word, medial YA or RA at the head, a virama with
# nothing to stack, glyph variants of the upper block, an asat right after the letter E or a stacked asat.
_ZAWGYI = regex.compile(
    r"(?<![\u1000-\u1021\u103B-\u103E\u1039\u1029\u103F])\u1031(?=[\u1000-\u1021])"
    r"|\u1039(?![\u1000-\u1021])"
    r"|[\u1060-\u1064\u1068-\u106D\u1070-\u107C\u107E-\u108A\u108F-\u1097]"
    r"|(?<=[\s။၊]|^)\u103B[\u1000-\u1021]"
)
# What only Unicode writes: E after its consonant or medials and before no new letter's asat, killed finals with U+103A.
_UNICODE = regex.compile(
    r"[\u1000-\u1021\u103B-\u103E]\u1031(?![\u1000-\u1021]\u1039)|[\u1000-\u1021]\u1037?\u103A|\u103E"
)


def zawgyi_share(text: str) -> float:
    """Share of telling signs in `text` that speak for Zawgyi, 0..1; 0 if there is none."""
    against, favour = len(_ZAWGYI.findall(text)), len(_UNICODE.findall(text))
    return against / (against + favour) if against + favour else 0.0
