"""IFEval's checkers (arXiv:2311.07911): whether an answer follows instructions that a program can check.

The 25 kinds of the published set, with the reference implementation's rules; each takes the answer, the instruction's
arguments and the language. For English they agree with the reference; three things are ours: sentences are counted by
`lang.segment` (the reference uses NLTK's Punkt model), the language is told by our identifier (the reference uses
langdetect, whose answers change from run to run), and keywords are literal, not patterns. In languages without spaces
words are counted by their segmenter, and a word "stands" anywhere, as there are no borders to see.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.errors import InputError, did_you_mean
from .instruction_text import count_sentences, count_words, has_word, is_language

Arguments = Mapping[str, Any]
Checker = Callable[[str, Arguments, str], bool]

OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_CAPITAL_TOKEN = re.compile(r"[^\W_]+(?:[-.&/][^\W_]+)*|'[^\W_]+")


def follows(
    kinds: Sequence[str],
    arguments: Sequence[Arguments],
    output: str,
    language: str,
    *,
    loose: bool = False,
    checkers: Mapping[str, Checker] | None = None,
) -> list[bool]:
    """Whether `output` follows each instruction; `loose` also tries it without its first or last line or asterisks.
    `checkers` are ours unless others are given (`instructions_reference`).

    InputError for a kind of instruction that is not known.
    """
    options = _variants(output) if loose else [output]
    checkers = checkers or CHECKERS
    out = []
    for kind, given in zip(kinds, arguments, strict=True):
        if kind not in checkers:
            raise InputError(f"there is no instruction '{kind}'", how=did_you_mean(kind, checkers))
        known = {name: value for name, value in given.items() if value is not None}
        try:
            out.append(any(text.strip() and checkers[kind](text, known, language) for text in options))
        except KeyError as error:
            raise InputError(f"the instruction '{kind}' lacks its argument {error}") from None
    return out


def _variants(output: str) -> list[str]:
    lines = output.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    return [text for whole in (output, *cut) for text in (whole, whole.replace("*", ""))]


def related(count: int, relation: str, threshold: int) -> bool:
    """`count` against a threshold by `at least`, `less than` or `exactly`; InputError for another relation."""
    if relation == "at least":
        return count >= threshold
    if relation == "less than":
        return count < threshold
    if relation == "exactly":
        return count == threshold
    raise InputError(f"'{relation}' is not one of at least, less than, exactly")


def _existence(text: str, given: Arguments, language: str) -> bool:
    return all(word.lower() in text.lower() for word in given["keywords"])


def _frequency(text: str, given: Arguments, language: str) -> bool:
    count = text.lower().count(given["keyword"].strip().lower())
    return related(count, given["relation"], given["frequency"])


def _forbidden(text: str, given: Arguments, language: str) -> bool:
    return not any(has_word(text, word, language) for word in given["forbidden_words"])


def _letters(text: str, given: Arguments, language: str) -> bool:
    return related(text.lower().count(given["letter"].lower()), given["let_relation"], given["let_frequency"])


def _language(text: str, given: Arguments, language: str) -> bool:
    return is_language(text, given["language"])


def _sentences(text: str, given: Arguments, language: str) -> bool:
    return related(count_sentences(text, language), given["relation"], given["num_sentences"])


def _words(text: str, given: Arguments, language: str) -> bool:
    return related(count_words(text, language), given["relation"], given["num_words"])


def _paragraphs(text: str, given: Arguments, language: str) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", text)
    if any(not part.strip() for part in parts[1:-1]):
        return False
    return sum(bool(part.strip()) for part in parts) == given["num_paragraphs"]


def _nth_paragraph(text: str, given: Arguments, language: str) -> bool:
    parts = text.split("\n\n")
    count, nth = sum(bool(part.strip()) for part in parts), given["nth_paragraph"]
    if nth > count or not parts[nth - 1].strip():
        return False
    word = parts[nth - 1].split()[0].lstrip("'").lstrip('"')
    first = re.split("[.,?!'\"]", word)[0].lower()
    wanted = given["first_word"].lower()
    same = first == wanted or (not wanted.isascii() and parts[nth - 1].strip().lower().startswith(wanted))
    return count == given["num_paragraphs"] and same


def _placeholders(text: str, given: Arguments, language: str) -> bool:
    return len(re.findall(r"\[.*?\]", text)) >= given["num_placeholders"]


def _postscript(text: str, given: Arguments, language: str) -> bool:
    marker = given["postscript_marker"].strip()
    shapes = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return re.search(shapes.get(marker, re.escape(marker.lower())), text.lower()) is not None


def _bullets(text: str, given: Arguments, language: str) -> bool:
    count = len(re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE)) + len(re.findall(r"^\s*-.*$", text, re.MULTILINE))
    return count == given["num_bullets"]


def _constrained(text: str, given: Arguments, language: str) -> bool:
    return any(option in text for option in OPTIONS)


def _highlights(text: str, given: Arguments, language: str) -> bool:
    single = [part for part in re.findall(r"\*[^\n\*]*\*", text) if part.strip("*").strip()]
    double = [part for part in re.findall(r"\*\*[^\n\*]*\*\*", text) if part[2:-2].strip()]
    return len(single) + len(double) >= given["num_highlights"]


def _sections(text: str, given: Arguments, language: str) -> bool:
    mark = re.escape(given["section_spliter"].strip())
    return len(re.findall(rf"\s?{mark}\s?\d+\s?", text)) >= given["num_sections"]


def _json(text: str, given: Arguments, language: str) -> bool:
    bare = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        bare = bare.removeprefix(fence)
    try:
        json.loads(bare.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, given: Arguments, language: str) -> bool:
    return any(title.lstrip("<").rstrip(">").strip() for title in re.findall(r"<<[^\n]+>>", text))


def _two_responses(text: str, given: Arguments, language: str) -> bool:
    parts = [part.strip() for part in text.split("******")]
    if not all(parts[1:-1]):
        return False
    said = [part for part in parts if part]
    return len(said) == 2 and said[0] != said[1]


def _repeat(text: str, given: Arguments, language: str) -> bool:
    return text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())


def _end(text: str, given: Arguments, language: str) -> bool:
    return text.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())


def _capital_words(text: str, given: Arguments, language: str) -> bool:
    count = 0
    for word in _CAPITAL_TOKEN.findall(re.sub(r"(?i)n't\b", " n't", text)):
        count += word.isupper()
    return related(count, given["capital_relation"], given["capital_frequency"])


def _upper(text: str, given: Arguments, language: str) -> bool:
    return text.isupper() and is_language(text.lower(), "en")


def _lower(text: str, given: Arguments, language: str) -> bool:
    return text.islower() and is_language(text, "en")


def _no_comma(text: str, given: Arguments, language: str) -> bool:
    return not any(mark in text for mark in ("," if language == "eng_Latn" else ",،，、၊"))


def _quotation(text: str, given: Arguments, language: str) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare[0] == '"' and bare[-1] == '"'


CHECKERS: dict[str, Checker] = {
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": _upper,
    "change_case:english_lowercase": _lower,
    "combination:repeat_prompt": _repeat,
    "combination:two_responses": _two_responses,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:constrained_response": _constrained,
    "detectable_format:json_format": _json,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:title": _title,
    "keywords:existence": _existence,
    "keywords:forbidden_words": _forbidden,
    "keywords:frequency": _frequency,
    "keywords:letter_frequency": _letters,
    "language:response_language": _language,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_words": _words,
    "punctuation:no_comma": _no_comma,
    "startend:end_checker": _end,
    "startend:quotation": _quotation,
}
"""Checker by the published name of its instruction."""
