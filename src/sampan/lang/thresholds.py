"""What a document of a language must meet to be kept: the limits that filters compare their statistics with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..core.errors import RecipeError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Limits by name, each the least (`min_`) or the most (`max_`) of one statistic; None turns its rule off.

    Defaults hold for every language; a profile overrides some, `corpus.calibrate` measures others. Ours, not the
    papers' (whose values stand in brackets): they were set on real text of all 13 languages so that below 1 % of the
    documents of any clean source are lost. Shares are in 0..1. Units are words, and clusters in scripts without spaces.
    """

    min_characters: float | None = 30
    """Shortest text, blanks not counted. Short scripts (Chinese) set less."""
    max_characters: float | None = 2_000_000
    """Longest text."""
    min_script_share: float | None = 0.5
    """Least share of letters written in the language's own script."""
    min_language_confidence: float = 0.5
    """Least confidence of the identifier for a text without a trusted label."""
    max_symbol_share: float | None = 0.35
    """Most characters, blanks not counted, that are neither letters, marks, digits nor common punctuation."""
    max_digit_share: float | None = 0.35
    """Most characters, blanks not counted, that are digits."""

    min_units: float | None = 5
    """Fewest units (Gopher: 50 words)."""
    max_units: float | None = 1_000_000
    """Most units (Gopher: 100,000 words; whole books are more)."""
    min_unit_length: float | None = 2.5
    """Shortest mean word, in characters, of spaced languages (Gopher: 3)."""
    max_unit_length: float | None = 12.0
    """Longest mean word, in characters, of spaced languages (Gopher: 10)."""
    max_hash_ratio: float | None = 0.2
    """Most `#` and ellipses for each unit (Gopher: 0.1)."""
    max_bullet_line_share: float | None = 0.95
    """Most lines that start with a bullet (Gopher: 0.9)."""
    max_ellipsis_line_share: float | None = 0.5
    """Most lines that end with an ellipsis (Gopher: 0.3)."""
    min_alphabetic_share: float | None = 0.6
    """Fewest units with a letter in them (Gopher: 0.8)."""
    min_stop_words: float | None = 1
    """Fewest different stop words of the profile's list (Gopher: 2 of 8 English ones). Off in Tamil, whose
    particles are endings."""

    max_duplicate_lines: float | None = 0.6
    """Most lines that repeat an earlier one (Gopher: 0.3; small languages have more verse, lists, parallel lines)."""
    max_duplicate_line_share: float | None = 0.5
    """Most characters that may stand in repeats of an earlier line (Gopher: 0.2; FineWeb: 0.01)."""
    max_duplicate_paragraphs: float | None = 0.6
    """Most paragraphs that repeat an earlier one (Gopher: 0.3)."""
    max_duplicate_paragraph_share: float | None = 0.5
    """Most characters that may stand in repeats of an earlier paragraph (Gopher: 0.2)."""
    max_top_2gram_share: float | None = 0.5
    """Most of the text that its most frequent 2-gram may cover (Gopher: 0.20). In scripts without spaces all n-grams
    are three times as long, because a cluster is about a third of a word."""
    max_top_3gram_share: float | None = 0.5
    """The same of 3-grams (Gopher: 0.18)."""
    max_top_4gram_share: float | None = 0.5
    """The same of 4-grams (Gopher: 0.16)."""
    max_duplicate_5gram_share: float | None = 0.7
    """Most of the text that may lie in 5-grams seen before in it (Gopher: 0.15)."""
    max_duplicate_6gram_share: float | None = 0.68
    """The same of 6-grams (Gopher: 0.14)."""
    max_duplicate_7gram_share: float | None = 0.66
    """The same of 7-grams (Gopher: 0.13)."""
    max_duplicate_8gram_share: float | None = 0.64
    """The same of 8-grams (Gopher: 0.12)."""
    max_duplicate_9gram_share: float | None = 0.62
    """The same of 9-grams (Gopher: 0.11)."""
    max_duplicate_10gram_share: float | None = 0.6
    """The same of 10-grams (Gopher: 0.10)."""

    min_sentence_ends: float | None = None
    """Fewest marks that end a sentence, in texts of some length (C4: 5 lines that end in one; 3 sentences). Off:
    transcripts, lists of sentences and Thai and Lao prose have none."""
    max_placeholders: float | None = 1
    """Most phrases of the Lorem ipsum placeholder (C4: 0)."""
    max_curly_share: float | None = 0.2
    """Most characters that are curly brackets (C4: none; notes on programs in small languages have some)."""
    max_javascript_share: float | None = 0.5
    """Most characters in short lines that speak of JavaScript (C4: 0)."""
    min_line_end_share: float | None = None
    """Fewest lines that end with a sentence's end (FineWeb: 0.12). Off: Thai and Lao have no such mark, verse and lists
    end without one in every language."""
    max_short_line_share: float | None = None
    """Most lines of a few words (FineWeb: 0.67 of lines up to 30 characters). Off: dialogue and verse."""
    max_lines_per_unit: float | None = 0.9
    """Most lines for each unit (FineWeb: 0.3)."""

    max_menu_share: float | None = 0.9
    """Most characters that may stand in menu-like lines: short ones without a sentence end, in runs."""
    max_boilerplate_share: float | None = 0.4
    """Most characters that may stand in lines about cookies, log-in, copyright and the like."""
    max_spam_share: float | None = 0.06
    """Most units in phrases that sell gambling and the like."""
    max_keyword_share: float | None = 0.35
    """Most units that are one and the same keyword."""
    max_harmful_share: float | None = 0.02
    """Most units in words of the list given as `harmful_words`."""


def check_limits(table: Mapping[str, Any], *, where: str) -> None:
    """RecipeError unless every key is a limit and every value a number that it can have, or None for "off"."""
    known = {limit.name: limit.type for limit in fields(Thresholds)}
    for name, value in table.items():
        if name not in known:
            raise RecipeError(f"there is no limit '{name}'", where=where, how=did_you_mean(str(name), known))
        if value is None and "None" in str(known[name]):
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        if not number or (name.endswith("share") and value > 1):
            raise RecipeError(
                f"limit `{name}` is {value!r}",
                where=where,
                how="A share is 0 to 1, any other limit a number from 0 on; null turns its rule off.",
            )
