"""Marking for the tasks beside: answers found in a passage, and the simplest of IFEval's instructions."""

from __future__ import annotations

import re
from collections import Counter

CHECKS = {
    "punctuation:no_comma": lambda text, given: "," not in text,
    "change_case:english_lowercase": lambda text, given: text == text.lower(),
    "change_case:english_capital": lambda text, given: text == text.upper(),
    "detectable_format:title": lambda text, given: re.search(r"<<[^\n]+>>", text) is not None,
    "startend:quotation": lambda text, given: len(text) > 1 and text[0] == text[-1] == '"',
    "length_constraints:number_words": lambda text, given: _relation(len(text.split()), given, "num_words"),
}


def _relation(count: int, given: dict, name: str) -> bool:
    return count < given[name] if given["relation"] == "less than" else count >= given[name]


def instructions(doc: dict, results: list[str]) -> dict[str, bool]:
    """Whether the answer is not empty and follows every instruction that is checked here."""
    text = results[0].strip()
    pairs = zip(doc["instruction_id_list"], doc["kwargs"], strict=True)
    followed = [CHECKS[name](text, given) for name, given in pairs if name in CHECKS]
    return {"prompt_level_strict_acc": bool(text) and all(followed)}


def answer_in_passage(doc: dict, results: list[str]) -> dict[str, float]:
    """Exact match and F1 over words, the best of the accepted answers."""
    said = results[0].strip().split()
    answers = doc["answers"]["text"] if isinstance(doc["answers"], dict) else doc["answers"]
    wanted = [(answer if isinstance(answer, str) else answer["text"]).split() for answer in answers]
    return {
        "exact_match": float(any(said == words for words in wanted)),
        "f1": max(_f1(said, words) for words in wanted),
    }


def _f1(said: list[str], wanted: list[str]) -> float:
    same = (Counter(said) & Counter(wanted)).total()
    return 2 * same / (len(said) + len(wanted)) if same else 0.0
