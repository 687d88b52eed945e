"""IFEval's checkers with the reference implementation's own tools: langdetect and NLTK's Punkt, English alone.

For scores to be set beside published ones to the verdict. langdetect draws at random; its seed is fixed here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..core.errors import InputError
from .instructions import CHECKERS, Arguments, Checker, related


@functools.cache
def reference_checkers() -> dict[str, Checker]:
    """All 25, of which four ask langdetect or Punkt; InputError says what is not installed."""
    detected, sentences_of = _langdetect(), _punkt()

    def is_language(text: str, wanted: str) -> bool:
        found = detected(text)
        return found is None or found == wanted  # what cannot be told counts as followed

    def upper(text: str, given: Arguments, language: str) -> bool:
        return text.isupper() and is_language(text, "en")

    def lower(text: str, given: Arguments, language: str) -> bool:
        return text.islower() and is_language(text, "en")

    def response_language(text: str, given: Arguments, language: str) -> bool:
        return is_language(text, given["language"])

    def number_sentences(text: str, given: Arguments, language: str) -> bool:
        return related(len(sentences_of(text)), given["relation"], given["num_sentences"])

    return CHECKERS | {
        "change_case:english_capital": upper,
        "change_case:english_lowercase": lower,
        "language:response_language": response_language,
        "length_constraints:number_sentences": number_sentences,
    }


def _langdetect() -> Callable[[str], str | None]:
    """The language's code of a text, None where langdetect finds nothing to tell it by."""
    try:
        import langdetect
    except ImportError:
        raise _missing("langdetect", "pip install 'sampan[ifeval]'") from None
    langdetect.DetectorFactory.seed = 0

    def detect(text: str) -> str | None:
        try:
            return langdetect.detect(text)
        except langdetect.LangDetectException:
            return None

    return detect


def _punkt() -> Callable[[str], list[Any]]:
    try:
        from nltk.tokenize import PunktTokenizer

        return PunktTokenizer("english").tokenize
    except ImportError:
        raise _missing("nltk", "pip install 'sampan[ifeval]'") from None
    except LookupError:
        raise _missing("NLTK's model punkt_tab", "python -m nltk.downloader punkt_tab") from None


def _missing(what: str, how: str) -> InputError:
    return InputError(f"the metric ifeval_reference needs {what}", how=f"Run `{how}`, or use the metric `ifeval`.")
