"""Answers that are no text: empty ones, loops, and answers in another language than the question's.

The thresholds are ours. A loop is a text that ends in the same piece over and over, or whose 4-grams of clusters are
mostly repeats; clusters make the rule the same in every script.
"""

from __future__ import annotations

import regex

from ..lang.identify import identify
from ..lang.segment import clusters

MIN_UNITS = 40
"""Fewest clusters for which repeats are counted: less is too short to tell a loop from a list or a rhyme."""
MAX_REPEATED = 0.6
"""Share of 4-grams that have occurred before, above which a text is a loop. Prose of 100 words stays below 0.3."""
_TAIL = regex.compile(r"(.{1,60}?)\1{5,}.{0,60}$", regex.S)
MIN_LETTERS = 12
"""Fewest letters by which a language is told."""
_SAME = ({"ind_Latn", "msa_Latn"},)
"""Languages taken for one another: SEA-HELM accepts Malay for Indonesian, from 1.2 on the reverse too."""


def is_empty(output: str) -> bool:
    """Whether nothing is written."""
    return not output.strip()


def is_loop(output: str) -> bool:
    """Whether the text goes round in a circle."""
    tail = _TAIL.search(output.rstrip()[-1200:])
    if tail and len(tail[0]) >= MIN_UNITS and not tail[1].isspace():
        return True
    units = [unit for unit in clusters(output) if not unit.isspace()]
    if len(units) < MIN_UNITS:
        return False
    grams = [tuple(units[start : start + 4]) for start in range(len(units) - 3)]
    # Long texts repeat more by chance: judged on the last stretch only, where a loop ends up.
    grams = grams[-400:]
    return 1 - len(set(grams)) / len(grams) > MAX_REPEATED


def is_degenerate(output: str) -> bool:
    """Whether the answer is empty or a loop."""
    return is_empty(output) or is_loop(output)


def is_wrong_language(output: str, language: str) -> bool | None:
    """Whether the answer is in another language than `language`; None where it is too short or too mixed to tell."""
    if sum(char.isalpha() for char in output) < MIN_LETTERS:
        return None
    found = identify(output).language
    if not found:
        return None
    return found != language and not any({found, language} <= same for same in _SAME)
