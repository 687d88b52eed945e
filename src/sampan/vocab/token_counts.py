"""What a tokenizer makes of texts: tokens of each text, the ids in use, and the time it took."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import regex

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
    """Words of every text: pieces of the language's word segmenter with a letter or number in them, or (`cluster`)
    clusters with one."""
    cut = _cutter(language, unit)
    return [sum(1 for piece in cut(text) if _WORD.search(piece)) for text in texts]


def unit_of(language: str, unit: Literal["word", "cluster"]) -> tuple[str, str]:
    """What `count_words` counts, `word` or `cluster`, and who cuts it: a segmenter's name, `spaces` or `clusters`."""
    from ..lang.segmenters import segmenter_used

    name = "clusters" if unit == "cluster" else segmenter_used(language).name
    return ("cluster" if name == "clusters" else "word"), name


def _cutter(language: str, unit: str):
    from ..lang.segment import clusters
    from ..lang.segmenters import word_segment

    return clusters if unit == "cluster" else functools.partial(word_segment, language=language)
