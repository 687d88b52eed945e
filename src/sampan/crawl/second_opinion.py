"""What Resiliparse's rules keep of a page, as a mark for each of our blocks.

The rules keep too much, but what they leave out (by names, roles and places of elements) is seldom main text. A hundred
training pages cannot teach as much: a forest with these marks among its features is right more often. They cost a third
of the extractor's time, so that only pages of which the first forest is not sure are asked about.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_SHORT = 16
"""A shorter text counts as kept only where it is a line of its own."""
_EDGE = 32
"""Characters at the begin and the end of a longer text that have to be kept."""


def kept_by_rules(tree: Any, texts: list[str]) -> np.ndarray:
    """1 for each text that Resiliparse keeps of the parsed page, 0 for the others (float32). [B]

    It walks up the tree for every element: ask it about no page that `nesting.check_depth` refuses.
    """
    from resiliparse.extract.html2text import extract_plain_text

    found = extract_plain_text(
        tree, main_content=True, alt_texts=False, list_bullets=False, comments=False, post_meta=False
    )
    whole = found.replace("\xad", "").replace("\xa0", " ").replace("\t", "\n")
    known = frozenset(map(str.strip, whole.split("\n")))
    marks = (text in known or ((len(text) >= _SHORT or "\n" in text) and _stands(text, known, whole)) for text in texts)
    return np.fromiter(marks, np.float32, len(texts))


def _stands(text: str, known: frozenset[str], whole: str) -> bool:
    """Whether the longest line of a text is among what is kept, or in it."""
    line = max(text.split("\n"), key=len) if "\n" in text else text
    return line in known or (len(line) >= _SHORT and line[:_EDGE] in whole and line[-_EDGE:] in whole)
