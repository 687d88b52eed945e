"""How SEA-HELM reads an answer: version 1.0 (used for the SEA-LION v3 paper) and version 1.2.

Both look for the answer tag of the task's language. 1.0 takes the rest of the line after the first tag and asks whether
it is a label; 1.2 takes the label that follows the tag. Either way an answer without the tag is read whole, and what is
no label is the task's null label. Patterns are those of the user's copy of the repository; what is done with them here
follows the official metric classes at both versions, slips included: 1.0 strips `$` before blanks, so a `$` that
follows the tag and a blank stays.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

NULL = ""
"""What we return for an answer that is no label; the official null labels differ by task and are always wrong."""
_EDGES = string.punctuation + " \n"


def normal_answer(text: str) -> str:
    """Lower case, ASCII punctuation, blanks and line ends taken off both ends, inner blanks made single."""
    return " ".join(text.lower().strip(_EDGES).split())


def label_v1(response: str | None, pattern: str, labels: Mapping[str, Any]) -> Any:
    """Version 1.0: the label on the first tag's line. `labels` maps written labels (lower case) to gold ones; `pattern`
    finds what follows the tag in a lower-case answer."""
    return labels.get(normal_answer(text_v1((response or "").lower(), pattern)), NULL)


def text_v1(response: str | None, pattern: str) -> str:
    """Version 1.0: the rest of the line after the first tag, as `pattern` finds it."""
    response = response or ""
    found = re.search(pattern, response)
    return (found[0].strip("$") if found else response).strip()


def label_v12(response: str | None, tag: str, labels: Sequence[str], *, exact_case: bool = False) -> str:
    """Version 1.2: the label after the tag, blanks and asterisks between them allowed.

    Repeated labels count as the last one (`Answer: AB` is B), as the official pattern has it. `exact_case` is how
    LINDSEA is read: there tag and label must have the written case, while an answer that is a label and nothing else
    may have any. The official code tries labels in the order of a set; we try longer ones first, which differs only
    where one label begins another.
    """
    response = response or ""
    options = "|".join(sorted(labels, key=lambda label: (-len(label), label)))
    found = re.search(rf"{tag}[\s\*]*({options})+", response, 0 if exact_case else re.IGNORECASE)
    first = re.search(tag, response) if exact_case else None
    if first and found and found.start() != first.start():
        found = None  # LINDSEA's pattern is content with the first tag even if no label follows it
    by_name = {label.lower(): label for label in labels}
    return by_name.get(normal_answer(found[1] if found else response), NULL)


def text_v12(response: str | None, tag: str) -> str:
    """Version 1.2: the rest of the line after the tag, less blanks, back-ticks and asterisks before it."""
    response = response or ""
    found = re.search(rf"{tag}[\s`*]*(.*)", response)
    return (found[1] if found else response).strip()
