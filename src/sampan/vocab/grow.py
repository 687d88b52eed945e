"""Grow a vocabulary for one language: characters, then merges inside clusters, then merges of whole clusters."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.errors import StageError
from ..lang.segment import clusters
from .continued_bpe import Word, cut_words, learn_merges
from .growth import Growth
from .guard import Guard, is_sign, run_pattern

CLUSTER_SHARE = 0.5
_ROUNDS = 2
_BYTES_PER_CHAR = 4


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a language may add. `max_chars`: longest piece; `cut`: whether pieces may cut a cluster."""

    budget: int
    min_frequency: int
    max_chars: int
    cut: bool


def count_runs(growth: Growth, texts: Sequence[str], script: str) -> Counter[str]:
    """Runs of a script (with the blank before them) in texts as the tokenizer cuts them, with their counts."""
    pattern, runs = run_pattern(script), Counter()
    for text in texts:
        for fragment in growth.fragments(text):
            runs.update(pattern.findall(fragment))
    return runs


def count_signs(texts: Sequence[str], protected: Sequence[str]) -> Counter[str]:
    """Signs shared by scripts (zero-width blanks, …) that no protected text has."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    seen = set().union(*map(set, protected)) if protected else set()
    return Counter({char: n for char, n in counts.items() if char not in seen and is_sign(char)})


def grow(growth: Growth, language: str, runs: Counter[str], signs: Counter[str], guard: Guard, limits: Limits) -> None:
    """Add at most `limits.budget` pieces of `language`, learned from its runs."""
    chars: Counter[str] = Counter(signs)
    for run, count in runs.items():
        for char in run.lstrip(" "):
            chars[char] += count
    allowed = {char for char in chars if char in signs or guard.allows(char.encode("utf-8"))}
    frequent = Counter({char: n for char, n in chars.items() if n >= limits.min_frequency and char in allowed})
    left = limits.budget - growth.admit(frequent, limits.budget, guard, language)
    if not limits.cut:
        left -= _learn(growth, language, runs, guard, limits, int(left * CLUSTER_SHARE), inside=True)
    for round_ in range(_ROUNDS):
        share = left if round_ == _ROUNDS - 1 else left // 2
        left -= _learn(growth, language, runs, guard, limits, share, inside=False)


def _learn(
    growth: Growth, language: str, runs: Counter[str], guard: Guard, limits: Limits, budget: int, *, inside: bool
) -> int:
    """Continue merging on the text as it is cut now; returns the number of pieces added."""
    if budget < 1:
        return 0
    tokenizer = growth.build()
    words: Counter[Word] = Counter()
    for run, count in runs.items():
        tokens = growth.tokens(tokenizer, run)
        for sequence in _sequences(growth, run, tokens, inside=inside, cut=limits.cut):
            joins = [_may_join(growth, guard, a, b) for a, b in itertools.pairwise(sequence)]
            for word in cut_words(sequence, joins):
                words[word] += count
    merges = learn_merges(
        words, budget, min_frequency=limits.min_frequency, max_tokens=limits.max_chars * _BYTES_PER_CHAR
    )
    before = len(growth.pieces)
    banned: set[str] = set()
    for a, b in merges:
        piece = a + b
        text = growth.raw(piece).decode("utf-8", "replace").lstrip(" ")
        if a in banned or b in banned or len(text) > limits.max_chars:
            banned.add(piece)
        else:
            growth.merges.append((a, b))
            growth.add(piece, language)
    return len(growth.pieces) - before


def _may_join(growth: Growth, guard: Guard, left: str, right: str) -> bool:
    if not (growth.joinable(left) and growth.joinable(right)):
        return False
    return guard.allows(growth.raw(left) + growth.raw(right))


def _sequences(growth: Growth, run: str, tokens: list[str], *, inside: bool, cut: bool) -> Iterator[list[str]]:
    """The token sequences of a run in which merges are learned now.

    An atom is the shortest stretch that ends where both a token and a cluster end. `inside`: each atom by itself;
    otherwise stretches of atoms that are one token each. With `cut`: the whole run.
    """
    if cut:
        yield tokens
        return
    atoms = _atoms(growth, run, tokens)
    if inside:
        yield from atoms
        return
    stretch: list[str] = []
    for atom in atoms:
        if len(atom) == 1:
            stretch += atom
        else:
            if stretch:
                yield stretch
            stretch = []
    if stretch:
        yield stretch


def _atoms(growth: Growth, run: str, tokens: list[str]) -> list[list[str]]:
    ends, at = set(), 0
    blank = len(run) - len(run.lstrip(" "))
    for number, cluster in enumerate(clusters(run.lstrip(" "))):
        at += len(cluster.encode("utf-8")) + (blank if number == 0 else 0)
        ends.add(at)
    atoms: list[list[str]] = [[]]
    at = 0
    for token in tokens:
        atoms[-1].append(token)
        at += len(growth.raw(token))
        if at in ends:
            atoms.append([])
    if atoms[-1] or at != len(run.encode("utf-8")):
        raise StageError(f"the tokens {tokens[:8]} do not spell the text {run[:20]!r}")
    return atoms[:-1]
