"""Grow a vocabulary for several languages at once: characters, then merges inside clusters and of whole clusters.

Counts of a language are divided by the tokens it costs now, measured again in every round: a merge is worth the share
of its language's tokens that it saves, so the sum of the logarithms of all languages' lengths falls fastest, and no
budget per language has to be guessed. Ours, not the paper's (SeaLLMs chose budgets by hand).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import runs as cutting
from .continued_bpe import learn_merges, letter, number_of
from .growth import Growth
from .guard import Guard
from .runs import Cut, Runs

if TYPE_CHECKING:
    import numpy as np

CHARACTER_SHARE = 0.25
CHARACTERS = 64
CLUSTER_SHARE = 0.25
_TOKENS = 2e6
_BYTES_PER_CHAR = 4


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What may be added. `max_chars`: longest piece; `cut`: whether pieces may cut a cluster; `rounds`: how often the
    text is cut anew while merges are learned; `weights` of languages."""

    min_frequency: int
    max_chars: int
    cut: bool
    rounds: int
    coverage: float
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Tokens:
    """What every id V of a growing vocabulary is: its bytes, their number, and whether it may be part of a piece."""

    growth: Growth
    raw_V: list[bytes]
    names_V: list[str]
    widths_V: np.ndarray

    @classmethod
    def of(cls, growth: Growth) -> Tokens:
        import numpy as np

        names = {number: name for name, number in (growth.vocab | growth.new_ids()).items()}
        names_V = [names.get(number, "") for number in range(max(names) + 1)]
        raw_V = [growth.raw(name) for name in names_V]
        return cls(growth, raw_V, names_V, np.fromiter(map(len, raw_V), np.int64, len(raw_V)))

    def may_join(self, guard: Guard, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """For pairs of ids, whether the piece of both may be added."""
        import numpy as np

        used = np.unique(np.concatenate([left, right]))
        size = len(self.raw_V)
        good, marks, part = (np.zeros(size, bool) for _ in range(3))
        for number in used.tolist():
            good[number] = self.growth.joinable(self.names_V[number])
            if not guard.free:
                text = self.raw_V[number].decode("utf-8", "ignore")
                marks[number] = any(map(guard.marks, text))
                part[number] = len(text.encode("utf-8")) != len(self.raw_V[number])
        joined = good[left] & good[right]
        if guard.free:
            return joined
        allowed = marks[left] | marks[right]
        # Parts of characters: the few pairs that there are, one by one.
        open_ = np.flatnonzero(joined & ~allowed & (part[left] | part[right]))
        if len(open_):
            pairs, where = np.unique(left[open_].astype(np.int64) * size + right[open_], return_inverse=True)
            answers = [guard.allows(self.raw_V[pair // size] + self.raw_V[pair % size]) for pair in pairs.tolist()]
            allowed[open_] = np.array(answers, bool)[where]
        return joined & allowed


def grow_together(growth: Growth, tables: Sequence[Runs], budget: int, limits: Limits, refused: set[str]) -> int:
    """Add at most `budget` pieces for the languages of `tables`, none of `refused`; returns the number added."""
    before = len(growth.pieces)

    def left() -> int:
        return budget - (len(growth.pieces) - before)

    _admit(growth, tables, budget, limits, refused)
    if not limits.cut:
        _round(growth, tables, int(left() * CLUSTER_SHARE), limits, refused, only_inside=True)
    for number in range(limits.rounds, 0, -1):
        _round(growth, tables, left() // number, limits, refused)
    return len(growth.pieces) - before


def refill(growth: Growth, tables: Sequence[Runs], budget: int, limits: Limits, refused: set[str]) -> None:
    """One more round of merges for at most `budget` pieces."""
    _round(growth, tables, budget, limits, refused)


def _admit(growth: Growth, tables: Sequence[Runs], budget: int, limits: Limits, refused: set[str]) -> None:
    """Characters that the base spells in bytes: of each language the most frequent that make up `limits.coverage` of
    its text, those first that are the largest share of theirs, up to a share of the budget, or an alphabet for each."""
    weight: Counter[str] = Counter()
    guard_of: dict[str, tuple[Guard, str]] = {}
    for runs in tables:
        chars = Counter(runs.signs)
        for run, count in zip(runs.texts, runs.counts_R.tolist(), strict=True):
            for char in run.lstrip(" "):
                chars[char] += count
        total = sum(chars.values())
        left = limits.coverage * total
        for char, count in sorted(chars.items(), key=lambda item: (-item[1], item[0])):
            if left <= 0:
                break
            left -= count
            if char in refused or not (char in runs.signs or runs.guard.allows(char.encode("utf-8"))):
                continue
            weight[char] += count * limits.weights.get(runs.language, 1.0) / total
            guard_of.setdefault(char, (runs.guard, runs.language))
    room = min(budget, max(math.ceil(budget * CHARACTER_SHARE), CHARACTERS * len(tables)))
    for char, _ in sorted(weight.items(), key=lambda item: (-item[1], item[0])):
        if room < 1:
            return
        guard, language = guard_of[char]
        if added := growth.admit(char, room, guard, language):
            growth.characters.add(growth.spell(char))
        room -= added


def _round(
    growth: Growth, tables: Sequence[Runs], budget: int, limits: Limits, refused: set[str], *, only_inside: bool = False
) -> None:
    """Continue merging on all texts as they are cut now."""
    if budget < 1:
        return
    tokens, tokenizer = Tokens.of(growth), growth.bare(cutting.letters(growth, tables))
    target = min(_TOKENS, max(runs.bytes for runs in tables) / 2)
    weighted: dict[str, float] = {}
    for runs in tables:
        pieces = cutting.cut(growth, tokenizer, runs, tokens.widths_V)
        total = float(runs.weights_R[pieces.run_T].sum()) or 1.0
        scale = target / total * limits.weights.get(runs.language, 1.0)
        for word, count in _words(tokens, runs, pieces, whole=limits.cut, only_inside=only_inside).items():
            weighted[word] = weighted.get(word, 0.0) + count * scale
    words = {word: count for word, share in weighted.items() if (count := round(share))}
    del weighted
    found = learn_merges(
        words, budget, min_frequency=limits.min_frequency, max_tokens=limits.max_chars * _BYTES_PER_CHAR
    )
    banned = set(refused)
    for left, right in found:
        a, b = ("".join([tokens.names_V[number_of(char)] for char in side]) for side in (left, right))
        piece = a + b
        if a in banned or b in banned or piece in banned or _length(growth, piece) > limits.max_chars:
            banned.add(piece)
        else:
            growth.join(a, b, tables[0].language)


def _length(growth: Growth, piece: str) -> int:
    return len(growth.raw(piece).decode("utf-8", "replace").lstrip(" "))


def _words(tokens: Tokens, runs: Runs, pieces: Cut, *, whole: bool, only_inside: bool) -> dict[str, float]:
    """The words (letters of tokens) in which merges are learned now, with their weights.

    An atom is the shortest stretch that ends where both a token and a cluster end. Words are atoms of several tokens,
    each by itself, and, unless `only_inside`, stretches of atoms that are one token each; with `whole`, the runs.
    """
    import numpy as np

    if len(pieces.ids_T) < 2:
        return {}
    join_T = np.zeros(len(pieces.ids_T), bool)
    join_T[:-1] = pieces.run_T[1:] == pieces.run_T[:-1]
    if not whole:
        end_T = runs.ends[pieces.end_T - 1]
        # Byte-level bases have tokens over the ends of clusters nearly everywhere: there, every atom must do.
        mendable_T = _mendable(runs, pieces, end_T) if tokens.growth.whole_characters else np.ones(len(end_T), bool)
        single_T = end_T & np.concatenate([[True], end_T[:-1]])
        join_T[:-1] &= (~end_T & mendable_T)[:-1] | (single_T[:-1] & single_T[1:] & (not only_inside))
    at = np.flatnonzero(join_T)
    join_T[at] = tokens.may_join(runs.guard, pieces.ids_T[at], pieces.ids_T[at + 1])
    in_word = join_T.copy()
    in_word[1:] |= join_T[:-1]
    starts = np.flatnonzero(in_word & ~np.concatenate([[False], join_T[:-1]]))
    stops = np.flatnonzero(in_word & ~join_T) + 1
    text = (pieces.ids_T.astype(np.uint32) + ord(letter(0))).tobytes().decode("utf-32-le")
    found: dict[str, float] = {}
    weights = runs.weights_R[pieces.run_T[starts]].tolist()
    for start, stop, weight in zip(starts.tolist(), stops.tolist(), weights, strict=True):
        word = text[start:stop]
        found[word] = found.get(word, 0.0) + weight
    return found


def _mendable(runs: Runs, pieces: Cut, end_T: np.ndarray) -> np.ndarray:
    """For each token whether its atom is one cluster, or two tokens that make several: where an old token reaches over
    the end of a cluster, a merge of anything less than the atom would cut one too."""
    import numpy as np

    last = np.flatnonzero(end_T)
    ended = np.cumsum(runs.ends, dtype=np.int64)[pieces.end_T[last] - 1]
    tokens_A, clusters_A = np.diff(last, prepend=-1), np.diff(ended, prepend=0)
    good = np.repeat((clusters_A == 1) | (tokens_A == 2), tokens_A)
    return np.concatenate([good, np.zeros(len(end_T) - len(good), bool)])
