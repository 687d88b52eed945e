"""F1 and exact match of a span of text against gold spans, as SQuAD marks them and SEA-HELM does by language.

Lower case, ASCII punctuation deleted, blanks made single, no article removed (SEA-HELM §QA; SQuAD's own script removes
English ones). Words are split at blanks; Thai is first cut by PyThaiNLP's newmm and Chinese by jieba, as SEA-HELM
does, and the other languages without spaces by the segmenter of their profile (ours: they are not in SEA-HELM's QA).
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence

from .words import spaced_words

_DELETED = str.maketrans("", "", string.punctuation)


def f1(output: str, references: Sequence[str], language: str) -> float:
    """Word-overlap F1 with the best reference, 0..1."""
    ours = _words(output, language)
    return max(_overlap(ours, _words(reference, language)) for reference in references)


def exact(output: str, references: Sequence[str], language: str) -> bool:
    """Whether the words are those of a reference."""
    ours = _words(output, language)
    return any(ours == _words(reference, language) for reference in references)


def _words(text: str, language: str) -> list[str]:
    return spaced_words(text, language).lower().translate(_DELETED).split()


def _overlap(ours: list[str], theirs: list[str]) -> float:
    same = (Counter(ours) & Counter(theirs)).total()
    return 2 * same / (len(ours) + len(theirs)) if same else 0.0
