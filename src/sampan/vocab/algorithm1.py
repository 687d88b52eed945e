"""SeaLLMs' Algorithm 1 (arXiv:2312.00738, appendix A): join the tokens of text as long as a target vocabulary allows.

Read as published, the algorithm stops at the first pair it meets a second time, and it counts a piece once in the whole
corpus, because the grown vocabulary reads later text; a minimum frequency then means nothing. `corrected` counting
reads all text with the base vocabulary and counts every join: the result depends neither on the order of the text nor
on how it is divided. `literal` counting does what the paper's pseudo-code says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

BARRIER = "\x00"
"""A token that no piece contains: what stands on its two sides is never joined."""


def joins(tokens: Iterable[str], target: Collection[str]) -> Iterator[str]:
    """What is made of `tokens` by joining, again and again, the first neighbouring pair that spells a target piece.

    Every join is given, in order, repeated ones too. (After a join only the pair before it can be newly possible, so a
    stack does the same as scanning from the start again.)
    """
    done: list[str] = []
    for token in tokens:
        last = token
        while done and (joined := done[-1] + last) in target:
            yield joined
            done.pop()
            last = joined
        done.append(last)


def count_corrected(sequences: Iterable[tuple[Sequence[str], int]], target: Collection[str]) -> Counter[str]:
    """How often each piece is made, over token sequences as the base vocabulary reads them and their counts."""
    counts: Counter[str] = Counter()
    for tokens, times in sequences:
        for piece in joins(tokens, target):
            counts[piece] += times
    return counts


def merge_literally(tokens: Iterable[str], target: Collection[str]) -> list[str]:
    """The pieces that EXHAUSTIVE_MERGE returns for one document: it stops when a join makes nothing new."""
    made: dict[str, None] = {}
    for piece in joins(tokens, target):
        if piece in made:
            break
        made[piece] = None
    return list(made)


def count_literally(documents: Iterable[Sequence[str]], target: Collection[str]) -> Counter[str]:
    """VOCAB_EXTEND's frequencies, over documents in order, each given as the base vocabulary's tokens.

    How the grown vocabulary reads a document is unpublished; here it reads as the base does and then takes neighbouring
    tokens together that spell an added piece, as many as it can.
    """
    counts: Counter[str] = Counter()
    longest = 1
    for tokens in documents:
        made = merge_literally(_read_grown(tokens, counts, longest), target)
        counts.update(made)
        longest = max([longest, *map(len, made)])
    return counts


def _read_grown(tokens: Sequence[str], added: Collection[str], longest: int) -> list[str]:
    out: list[str] = []
    at = 0
    while at < len(tokens):
        best, joined = 1, tokens[at]
        for number in range(2, min(longest, len(tokens) - at) + 1):
            joined += tokens[at + number - 1]
            if len(joined) > longest:
                break
            if joined in added:
                best = number
        out.append("".join(tokens[at : at + best]))
        at += best
    return out
