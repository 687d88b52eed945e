"""What a tokenizer makes of texts: tokens of each text, the ids in use, and the time it took."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import regex

from ..lang.profile import load_profile
from ..lang.segment import words
from ..lang.segmenters import segmenter_used, word_segment

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH = 256
_WORD = regex.compile(r"[\p{L}\p{N}]")


@dataclass
class TokenCounts:
    """Of one tokenizer on the texts of one language. `used` counts each id; `seconds` are of the processor."""

    tokens: list[int] = field(default_factory=list)
    used: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.tokens)


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str], *, used: bool = True) -> TokenCounts:
    """Tokens of every text, in order, without BOS and EOS."""
    counts = TokenCounts()
    for start in range(0, len(texts), _BATCH):
        clock = time.process_time()
        encoded = tokenizer.encode_batch_fast(list(texts[start : start + _BATCH]), add_special_tokens=False)
        counts.seconds += time.process_time() - clock
        counts.tokens += [len(item.ids) for item in encoded]
        if used:
            for item in encoded:
                counts.used.update(item.ids)
    return counts


def count_words(texts: Sequence[str], language: str, unit: Literal["word", "cluster"]) -> list[int]:
    """Units of every text: pieces of the language's word segmenter with a letter or number in them, or (`cluster`) the
    units of `lang.segment.words`, which needs no segmenter."""
    if unit == "cluster":
        return [len(words(text, language)) for text in texts]
    return [sum(1 for piece in word_segment(text, language) if _WORD.search(piece)) for text in texts]


def unit_of(language: str, unit: Literal["word", "cluster"]) -> tuple[str, str]:
    """What `count_words` counts (`word`, `cluster` or `character`) and who cuts it: a segmenter's name, `spaces`,
    `clusters` or `characters`."""
    if unit == "word":
        name = segmenter_used(language).name
        return ("cluster" if name == "clusters" else "word"), name
    if load_profile(language).spaced:
        return "word", "spaces"
    name = "character" if language.startswith("zho") else "cluster"
    return name, f"{name}s"
