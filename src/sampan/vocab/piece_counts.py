"""How often a target vocabulary's pieces are made in documents, language by language.

Text is read run by run (letters and marks of the language's script with the blank before them), so that no piece of
another script is ever counted, and each distinct run is read once however often it occurs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import regex

from .algorithm1 import BARRIER, count_corrected, count_literally
from .guard import run_pattern
from .plan import script_of
from .target_vocabulary import characters

if TYPE_CHECKING:
    from .growth import Growth

_BATCH = 20_000


@dataclass
class LanguageText:
    """What was read of one language in one script: distinct runs with their counts and, only for literal counting, its
    documents as lists of runs."""

    runs: Counter[str] = field(default_factory=Counter)
    documents: list[list[str]] = field(default_factory=list)

    def add(self, growth: Growth, text: str, language: str, *, literal: bool) -> None:
        runs = run_pattern(script_of(language)).findall(growth.normalised(text))
        self.runs.update(runs)
        if literal:
            self.documents.append(runs)

    @property
    def bytes(self) -> int:
        return sum(len(run.encode("utf-8")) * count for run, count in self.runs.items())


def count_pieces(growth: Growth, text: LanguageText, target: Collection[str]) -> Counter[str]:
    """How often each piece of `target` is made in the text, and each character that the base has not got is met, where
    the target is written with it. Literal counting where the text has documents."""
    runs = list(text.runs)
    if text.documents:
        tokens = dict(zip(runs, read_runs(growth, runs), strict=True))
        documents = ([token for run in some for token in (*tokens[run], BARRIER)] for some in text.documents)
        counts = count_literally(documents, target)
        once = Counter(dict.fromkeys(_new_characters(growth, runs, target), 1))
        return once | counts
    counts = count_corrected(zip(read_runs(growth, runs), text.runs.values(), strict=True), target)
    return counts + _count_characters(text.runs, _new_characters(growth, runs, target))


def read_runs(growth: Growth, runs: Sequence[str]) -> Iterator[list[str]]:
    """The base's tokens of each run as text. Tokens that end inside a character (bytes of a character that the base has
    not got, or more) are put together and cut into characters; the word expression's cuts become barriers."""
    tokenizer = growth.bare()
    raw_of = {number: growth.raw(token) for token, number in tokenizer.get_vocab().items()}
    text_of = {number: text for number, raw in raw_of.items() if (text := _whole(raw))}
    for start in range(0, len(runs), _BATCH):
        fragments = [growth.fragments(run) for run in runs[start : start + _BATCH]]
        flat = [growth.bare_spelling(part) for parts in fragments for part in parts]
        read = iter(tokenizer.encode_batch_fast(flat, add_special_tokens=False))
        for parts in fragments:
            tokens: list[str] = []
            for number, _ in enumerate(parts):
                if number:
                    tokens.append(BARRIER)
                ids = next(read).ids
                try:
                    tokens += [text_of[one] for one in ids]
                except KeyError:
                    tokens += _collapsed([raw_of[one] for one in ids])
            yield tokens


def _collapsed(raws: Sequence[bytes]) -> Iterator[str]:
    """Tokens as text; those that end inside a character are put together to whole characters, one token each."""
    open_ = b""
    for raw in raws:
        text = _whole(open_ + raw)
        if text and not open_:
            yield text
        elif text:
            yield from text
        open_ = b"" if text else open_ + raw
    if open_:  # not the text's own bytes: an unknown token
        yield BARRIER


def _whole(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _new_characters(growth: Growth, runs: Sequence[str], target: Collection[str]) -> frozenset[str]:
    met = frozenset().union(*runs) & characters(target)
    return frozenset(char for char in met if not growth.known(growth.spell(char)))


def _count_characters(runs: Counter[str], wanted: frozenset[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    if wanted:
        pattern = regex.compile("[" + "".join(map(regex.escape, sorted(wanted))) + "]")
        for run, count in runs.items():
            for char in pattern.findall(run):
                counts[char] += count
    return counts
