"""Pages that are no prose, after C4 (Raffel et al. 2020, §2.2): no sentence ends, Lorem ipsum, code, notices.

C4 drops whole pages and single lines; these rules judge pages, and `drop_lines` of corpus.clean takes lines out. C4's
list of bad words is the filter `harmful`.
"""

from __future__ import annotations

import numpy as np

from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 1
MIN_WORDS, MAX_NOTICE_CHARACTERS = 120, 300
"""Below so many words (ours) a text need not end a sentence; a longer line is an article about JavaScript."""
_PLACEHOLDERS = ("lorem ipsum", "dolor sit amet", "consectetur adipi", "sed do eiusmod", "ut labore et dolore")


def c4(view: TextView) -> Verdict:
    """Drops `no_sentences` (not in Thai and Lao, which do not mark their ends), `lorem_ipsum`, `code` (curly brackets)
    and `javascript`."""
    return judge(view, RULES)


def _sentence_ends(view: TextView) -> float | None:
    """Marks of the language that end a sentence."""
    if len(view.units) < MIN_WORDS * view.word_units:
        return None
    return sum(view.text.count(mark) for mark in view.profile.sentence_enders)


def _placeholders(view: TextView) -> float:
    """Phrases of the placeholder text that occur."""
    return sum(phrase in view.lower for phrase in _PLACEHOLDERS)


def _curly_brackets(view: TextView) -> float:
    return view.share(view.text.count("{") + view.text.count("}"))


def _javascript(view: TextView) -> float:
    """Share of characters in short lines that speak of JavaScript."""
    lower = view.lower
    if "javascript" not in lower or len(lower) != len(view.text):
        return 0.0
    spans = zip(view.lines.starts_L.tolist(), view.lines.ends_L.tolist(), strict=True)
    about = [b - a for a, b in spans if b - a <= MAX_NOTICE_CHARACTERS and "javascript" in lower[a:b]]
    return float(sum(about) / np.sum(view.lines.lengths_L))


RULES = (
    Rule("lorem_ipsum", "max_placeholders", _placeholders),
    Rule("code", "max_curly_share", _curly_brackets),
    Rule("javascript", "max_javascript_share", _javascript),
    Rule("no_sentences", "min_sentence_ends", _sentence_ends),
)
