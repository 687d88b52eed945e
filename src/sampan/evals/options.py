"""Which lettered option an answer names, as three published tests read it, and shuffling of options.

M3Exam (arXiv:2306.05179, its repository): the first character, or the second if the first is `(`.
SeaExam (arXiv:2502.06298, its repository): the first of the letters A to E anywhere in the answer.
VMLU (its repository): the first character that is no blank.
None of them repairs an answer that says more; what is no option is wrong, and counted as ill-formed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.identity import digest_value

LETTERS = "ABCDE"
_STRICT = re.compile(f"[{LETTERS}]")


def m3exam_option(output: str) -> str:
    """The option as M3Exam reads it, '' for an empty answer. Native letters and digits come out as they are."""
    text = output.strip()
    return text[1:2] if text.startswith("(") else text[:1]


def seaexam_option(output: str) -> str:
    """The option as SeaExam reads it: '' if the answer has none of the capital letters A to E."""
    found = _STRICT.search(output)
    return found[0] if found else ""


def vmlu_option(output: str) -> str:
    """The option as VMLU reads it, '' for an empty answer."""
    return output.strip()[:1]


READERS = {"m3exam": m3exam_option, "seaexam": seaexam_option, "vmlu": vmlu_option}
"""Readers by test."""


def is_well_formed(option: str, marks: Sequence[str]) -> bool:
    """Whether `option` is the mark of an option."""
    return option in marks


def shuffled(options: Sequence[str], answer: int, *, seed: int, key: str) -> tuple[list[str], int]:
    """The options in an order drawn from (seed, key), and where the right one is now.

    SeaExam shuffles the options of test and dev items alike with seed 1. Our draw is a hash of the item's id, not
    Python's generator, so an order does not depend on the items before it; the same key gives the same order in every
    language. ValueError if `answer` is no index of `options`.
    """
    if not 0 <= answer < len(options):
        raise ValueError(f"answer {answer} is not the index of one of {len(options)} options")
    order = sorted(range(len(options)), key=lambda n: digest_value([seed, key, n]))
    return [options[n] for n in order], order.index(answer)
