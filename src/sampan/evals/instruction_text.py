"""What instructions count and compare: words, sentences, whole words, languages, in every script."""

from __future__ import annotations

import re

import regex

from ..core.errors import RecipeError
from ..lang.codes import normalise_code
from ..lang.identifier import general_identifier
from ..lang.identify import identify
from ..lang.profile import languages, load_profile
from ..lang.segment import sentences, words
from ..lang.segmenters import word_segment

_NO_SPACES = regex.compile(r"[\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\p{Han}\p{Hiragana}\p{Katakana}]")
_WORDLIKE = regex.compile(r"[\p{L}\p{N}]")


def count_words(text: str, language: str) -> int:
    """English: runs of letters, digits and `_`, as the reference counts; else the words of the language's segmenter."""
    if language not in languages() or language == "eng_Latn":
        return len(re.findall(r"\w+", text))
    if load_profile(language).spaced:
        return len(words(text, language))
    return sum(_WORDLIKE.search(piece) is not None for piece in word_segment(text, language))


def count_sentences(text: str, language: str) -> int:
    """Sentences. In English a line end ends none, as in the reference; in Thai and Lao, which mark no end of sentence,
    stretches between blanks count."""
    if language not in languages():
        language = "eng_Latn"
    if language in ("tha_Thai", "lao_Laoo"):
        return sum(_WORDLIKE.search(piece) is not None for piece in text.split())
    if language == "eng_Latn":
        text = " ".join(text.split())
    return len(sentences(text, language))


def has_word(text: str, word: str, language: str) -> bool:
    """Whether the word stands in the text whatever its case; borders count only in scripts that show them."""
    if _NO_SPACES.search(word):
        return word in text
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None


def is_language(text: str, wanted: str) -> bool:
    """Whether the text is in the language (a code of any kind); true where it has no letters to tell by.

    Indonesian and Malay pass for one another, as in SEA-HELM.
    """
    if not any(char.isalpha() for char in text):
        return True
    try:
        code = normalise_code(wanted)
    except RecipeError:
        code = ""
    flat = " ".join(text.split())
    if code in languages():
        found = identify(flat).language
        return found == code or {found, code} == {"ind_Latn", "msa_Latn"}
    scores = general_identifier().probabilities(flat)
    return bool(scores) and max(scores, key=scores.get) == wanted
