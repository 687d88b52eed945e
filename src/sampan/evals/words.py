"""Words parted by blanks, for marking text of languages that write none."""

from __future__ import annotations

import functools
from collections.abc import Callable

from ..core.errors import RecipeError
from ..lang.profile import load_profile
from ..lang.segmenters import SEGMENTERS, word_segment

_PUBLISHED = {"tha_Thai": "pythainlp", "zho_Hans": "jieba"}
"""The segmenters that SEA-HELM's metrics use."""


def spaced_words(text: str, language: str) -> str:
    """`text` with blanks between words; unchanged for languages that write them, or that we do not know."""
    cutter = _cutter(language)
    return " ".join(cutter(text)) if cutter else text


@functools.cache
def _cutter(language: str) -> Callable[[str], list[str]] | None:
    try:
        if load_profile(language).spaced:
            return None
    except RecipeError:
        return None
    if language in _PUBLISHED:
        try:
            return SEGMENTERS[_PUBLISHED[language]](language)
        except ImportError:
            pass
    return lambda text: word_segment(text, language)
