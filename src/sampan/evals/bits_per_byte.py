"""Bits per byte: how many bits a model needs for a text, over the text's UTF-8 bytes.

The text is predicted whole: every token after BOS, the first one too, and nothing else (EOS is not text). Neither
the tokenizer nor the number of tokens enters, so models with different vocabularies compare. A token that stands for
"unknown" does not say which text it stands for, so the bytes it covers cost eight bits each on top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..model.encoding import first_token
from ..model.scoring import Score, text_nats
from .marks import Mark

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def document_bits(
    score: Score, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], *, context_len: int
) -> list[float]:
    """Bits for each text. Windows hold `context_len` tokens, one of them shared with the window before."""
    rows, extra = [], []
    for text in texts:
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        rows.append([first_token(tokenizer), *encoded["input_ids"]])
        pieces = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        unknown = [text[start:end] for token, (start, end) in pieces if token == tokenizer.unk_token_id]
        extra.append(8 * len("".join(unknown).encode()))
    nats = text_nats(score, rows, context_len=context_len)
    return [value / math.log(2) + more for value, more in zip(nats, extra, strict=True)]


def bits_per_byte(bits: Sequence[float], sizes: Sequence[int]) -> Mark:
    """Total bits over total bytes, with the standard error of a ratio of sums over D documents.

    R = Σb/ΣB; variance = D/(D-1) · Σ(b - R·B)² / (ΣB)² (Cochran, Sampling Techniques, 1977, section 6.3, for a large
    population): documents vary together with their length, so the mean of their own ratios would be the wrong unit.
    """
    count, total = len(bits), sum(sizes)
    ratio = math.fsum(bits) / total
    stderr = None
    if count > 1:
        spread = math.fsum((b - ratio * size) ** 2 for b, size in zip(bits, sizes, strict=True))
        stderr = math.sqrt(count / (count - 1) * spread) / total
    each = tuple(b / size for b, size in zip(bits, sizes, strict=True))
    return Mark("bits_per_byte", ratio, stderr, count, False, each, tuple(sizes))
