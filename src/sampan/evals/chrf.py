"""chrF and chrF++ (Popović 2015, 2017): F2 over character n-grams to 6, and with ++ over word n-grams to 2.

The same counts and the same mean as sacrebleu's `CHRF(word_order=2)`, on 0..100: blanks do not count as characters, and
one punctuation mark is parted from a word's end or beginning. A corpus's value is that of its summed counts, not a mean
of sentences. For scripts without spaces a "word" is a phrase, so chrF beside chrF++ says more (both are reported).
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence

CHARACTERS = 6
BETA = 2
_MARKS = frozenset(string.punctuation)

Counts = list[int]
"""For each order hypothesis, reference and matching n-grams: characters 1 to 6, then words."""


def counts(output: str, references: Sequence[str], words: int = 2) -> Counts:
    """Counts against the reference that gives the best sentence value; the first of equals."""
    rows = [_against(output, reference, words) for reference in references]
    return max(rows, key=value)  # the first of equals


def total(rows: Sequence[Counts]) -> Counts:
    """The counts of a corpus."""
    return [sum(column) for column in zip(*rows, strict=True)]


def value(row: Counts) -> float:
    """F2 of the mean precision and the mean recall over the orders that both sides have, 0..100."""
    precision = recall = orders = 0.0
    for given, wanted, same in zip(row[::3], row[1::3], row[2::3], strict=True):
        if given and wanted:
            orders += 1
            precision += same / given
            recall += same / wanted
    if not orders or not precision + recall:
        return 0.0
    precision, recall = precision / orders, recall / orders
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def _against(output: str, reference: str, words: int) -> Counts:
    row: Counts = []
    for size in range(1, CHARACTERS + 1):
        row += _matches(_ngrams("".join(output.split()), size), _ngrams("".join(reference.split()), size))
    ours, theirs = _words(output), _words(reference)
    for size in range(1, words + 1):
        row += _matches(_ngrams(ours, size), _ngrams(theirs, size))
    return row


def _ngrams(units: Sequence[str], size: int) -> Counter:
    return Counter(tuple(units[start : start + size]) for start in range(len(units) - size + 1))


def _matches(ours: Counter, theirs: Counter) -> list[int]:
    wanted = theirs.total()
    return [ours.total() if wanted else 0, wanted, (ours & theirs).total()]


def _words(text: str) -> list[str]:
    out = []
    for word in text.split():
        if len(word) > 1 and word[-1] in _MARKS:
            out += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in _MARKS:
            out += [word[0], word[1:]]
        else:
            out.append(word)
    return out
