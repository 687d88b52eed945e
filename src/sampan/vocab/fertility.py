"""Fertility: how many tokens a word costs, and how many bytes a token carries, by language, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .inequality import ratio
from .token_counts import count_tokens, count_words, unit_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNIT_NOTE = (
    "tokens_per_word: tokens of the texts over their words as sampan.lang.segment.words counts them (`unit`: words in "
    "spaced languages, clusters or characters in spaceless ones, so compare before and after, not languages). "
    "bytes_per_token: UTF-8 bytes of the texts over their tokens. No BOS or EOS counted."
)
_MAX_TEXTS = 500


def fertility_rows(
    before: Tokenizer, after: Tokenizer, texts: Mapping[str, Sequence[str]], held_out: Mapping[str, bool]
) -> list[dict[str, Any]]:
    """One row per language, over at most 500 of its texts. Ratios are rounded to six digits."""
    rows = []
    for language, given in texts.items():
        sample = list(given)[:_MAX_TEXTS]
        units = sum(count_words(sample, language, "cluster"))
        size = sum(len(text.encode("utf-8")) for text in sample)
        old = count_tokens(before, sample, used=False).total
        new = count_tokens(after, sample, used=False).total
        rows.append(
            {
                "language": language,
                "tokens_per_word_before": ratio(old, units),
                "tokens_per_word_after": ratio(new, units),
                "bytes_per_token_before": ratio(size, old),
                "bytes_per_token_after": ratio(size, new),
                "unit": unit_of(language, "cluster")[0],
                "documents": len(sample),
                "held_out": held_out[language],
            }
        )
    return rows
