"""How surely texts stand in another text: blocks of a page in what somebody else took out of it."""

from __future__ import annotations

import re

import numpy as np

_NO_LETTERS = re.compile(r"[\x00-/:-@\[-`{-\x7f\s]+")
_GRAM = 10
_PARTLY, _WHOLLY = 0.5, 0.9
_BESIDE = 3
"""Texts before and after a short one that are looked at."""


def shares(texts: list[str], whole: str) -> np.ndarray:
    """How surely each text stands in `whole`: 0 where less than `_PARTLY` of its runs of ten letters do (a headline has
    words of its article), 1 where `_WHOLLY` do. A text with hardly more than a run ("News", "3") may stand in any
    article by chance; it counts where it is a line of `whole`, or where what comes before or after it on the page also
    does so there. Of a text without letters nothing is known: 0.5. [B]"""
    wanted = letters(whole)
    runs = {wanted[i : i + _GRAM] for i in range(len(wanted) - _GRAM + 1)}
    lines = set(map(letters, whole.split("\n")))
    known = list(map(letters, texts))
    found = []
    for at, text in enumerate(known):
        if not text:
            found.append(0.5)
        elif len(text) < _GRAM + 2:
            before, after = "".join(known[max(0, at - _BESIDE) : at]), "".join(known[at + 1 : at + 1 + _BESIDE])
            before, after = before[-_GRAM:], after[:_GRAM]
            beside = (len(before) >= 4 and before + text in wanted) or (len(after) >= 4 and text + after in wanted)
            found.append(float(text in lines or beside))
        elif text in wanted:
            found.append(1.0)
        else:
            inside = sum(text[i : i + _GRAM] in runs for i in range(len(text) - _GRAM + 1))
            share = inside / (len(text) - _GRAM + 1)
            found.append(min(1.0, max(0.0, (share - _PARTLY) / (_WHOLLY - _PARTLY))))
    return np.asarray(found)


def letters(text: str) -> str:
    """The text without case, blanks, and signs of ASCII."""
    return _NO_LETTERS.sub("", text.casefold())
