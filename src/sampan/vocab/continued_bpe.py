"""Continued BPE: go on merging where a vocabulary stopped, with the Rust trainer.

Each distinct token of the text so far becomes one private-use character, the trainer learns merges over those strings,
and the merges are translated back (the technique of continued BPE training, arXiv:2512.03989; the private-use letters
are ours). Same result as counting pairs one by one, many times faster.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..core.errors import StageError

_PRIVATE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
_BATCH = 10_000

Word = tuple[str, ...]


def learn_merges(
    words: Mapping[Word, int], budget: int, *, min_frequency: int, max_tokens: int
) -> list[tuple[str, str]]:
    """At most `budget` merges (left, right), most frequent pair first, learned from words given as token sequences.

    `words` maps a sequence of at least one token to its count. A pair seen less than `min_frequency` times is never
    merged, and no merge joins more than `max_tokens` of the given tokens. Ties go to the pair of tokens that come first
    in order of total frequency (then of spelling); pairs with merged tokens come after, in the order of the merges.
    """
    from tokenizers import Tokenizer, models, trainers

    totals: Counter[str] = Counter()
    for word, count in words.items():
        for token in word:
            totals[token] += count
    alphabet = sorted(totals, key=lambda token: (-totals[token], token))
    if budget < 1 or not alphabet:
        return []
    letter_of = dict(zip(alphabet, _private_letters(len(alphabet)), strict=True))
    token_of = {letter: token for token, letter in letter_of.items()}
    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + budget,
        min_frequency=min_frequency,
        max_token_length=max_tokens,
        show_progress=False,
        initial_alphabet=list(token_of),
    )
    tokenizer.train_from_iterator(_batches(words, letter_of), trainer)

    def spelled(letters: str) -> str:
        return "".join([token_of[letter] for letter in letters])

    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(spelled(left), spelled(right)) for left, right in merges]


def _private_letters(number: int) -> list[str]:
    points = [chr(point) for block in _PRIVATE for point in block]
    if number > len(points):
        raise StageError(f"{number} distinct tokens in the text, more than the {len(points)} private-use characters")
    return points[:number]


def _batches(words: Mapping[Word, int], letter_of: Mapping[str, str]) -> Iterator[list[str]]:
    """Each word as often as it occurs: the trainer counts them itself."""
    batch: list[str] = []
    for word, count in sorted(words.items()):
        if len(word) < 2:
            continue
        spelled = "".join([letter_of[token] for token in word])
        while count:
            some = min(count, _BATCH - len(batch))
            batch += [spelled] * some
            count -= some
            if len(batch) == _BATCH:
                yield batch
                batch = []
    yield batch


def cut_words(tokens: Sequence[str], joins: Sequence[bool]) -> Iterator[Word]:
    """`tokens` cut wherever `joins[i]` (between token i and i + 1) is False."""
    start = 0
    for end, joined in enumerate([*joins, False], 1):
        if not joined:
            yield tuple(tokens[start:end])
            start = end
