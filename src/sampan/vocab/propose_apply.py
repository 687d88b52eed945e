"""Add given pieces to a vocabulary so that each is reached: merges that build it from what text is cut into so far.

A piece is added last in order of merging. At that moment the vocabulary cuts its text into some tokens; if these are
two, one more merge of them makes the piece, and no later merge can come in between, because merges run in order of
rank. So pieces are added as soon as their text is two tokens: parts before the wholes they make. What is left has no
such path among the given pieces, and gets intermediate pieces, or is left out.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from .from_sentencepiece import NORMAL
from .growth import Growth
from .guard import Guard
from .kept import Kept, hold
from .plan import script_of
from .proposals import Proposal
from .sentencepiece_family import SentencePieceGrowth

_AFTER_BASE = 1 << 24
"""Rank of the first added piece: below every real score (see SentencePieceGrowth), above the pieces parked at −1e9."""


_ATTEMPTS = 3


@dataclass
class Applied:
    """What became of the proposals: pieces added as given, pieces added besides, and those left out by reason."""

    added: int = 0
    characters: int = 0
    intermediates: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def facts(self) -> dict[str, Any]:
        """As JSON, reasons in order of name."""
        counts = {"added": self.added, "characters": self.characters, "intermediates": self.intermediates}
        return counts | {"left_out": dict(sorted(self.left_out.items()))}


def add_pieces(
    growth: Growth,
    proposals: Iterable[Proposal],
    *,
    budget: int,
    intermediates: bool = True,
    refused: Collection[str] = (),
) -> Applied:
    """Add proposals to `growth`, first ones first, at most `budget` pieces with all that they need.

    `intermediates`: whether a piece that cannot be merged from two others gets the pieces in between, none of them
    among `refused`; without it such a piece is left out. Reasons to be left out: already_held, twice, not_one_word (the
    word expression cuts it), over_budget, no_path, unreachable.
    """
    return _Adding(growth, budget, refused).run(proposals, intermediates)


def add_held(
    growth: Growth, proposals: Sequence[Proposal], kept: Sequence[Kept], *, budget: int, max_kept_change: float
) -> Applied:
    """`add_pieces`, then out again with those that change kept text too much (reason changes_kept_text), the most
    frequent ones last. A piece that loses only what it was merged from is tried again another way."""
    out = Applied()
    if not proposals:
        return out
    before, worth = set(growth.pieces), {growth.spell(item.piece): float(item.count) for item in proposals}
    refused: set[str] = set()
    waiting = list(proposals)
    for _ in range(_ATTEMPTS):
        room = budget - (len(growth.pieces) - len(before))
        out.left_out += add_pieces(growth, waiting, budget=room, refused=refused).left_out
        gone = hold(growth, kept, max_kept_change, lambda: worth)
        refused.update(gone.get("changes_kept_text", ()))
        lost = set(gone.get("unreachable", ()))
        waiting = [item for item in waiting if growth.spell(item.piece) in lost]
        if not waiting:
            break
    out.left_out["changes_kept_text"] += sum(piece in worth for piece in refused)
    out.left_out["unreachable"] += len(waiting)
    out.left_out = +out.left_out
    _drop_unused(growth, worth, before)
    _count_made(out, growth, worth, before)
    return out


def _drop_unused(growth: Growth, asked: Collection[str], before: Collection[str]) -> None:
    """Take out characters and intermediate pieces whose piece did not make it."""
    made = "\n".join(piece for piece in asked if growth.known(piece))
    growth.drop([piece for piece in growth.pieces if piece not in before and piece not in made])


def _count_made(out: Applied, growth: Growth, asked: Collection[str], before: Collection[str]) -> None:
    made = [piece for piece in growth.pieces if piece not in before]
    besides = [growth.raw(piece) for piece in made if piece not in asked]
    out.added = len(made) - len(besides)
    out.characters = sum(len(raw.decode("utf-8", "replace")) == 1 for raw in besides)
    out.intermediates = len(besides) - out.characters


class _Cutter:
    """Cuts single pieces as the growing vocabulary would, without building a tokenizer for each."""

    def __init__(self, growth: Growth) -> None:
        # SentencePiece and tiktoken rank a pair by the text it makes, other byte-level BPE by the pair itself.
        self._texts = _ranks_of_texts(growth)
        self._by_text = bool(self._texts) or isinstance(growth, SentencePieceGrowth)
        self._pairs: dict[tuple[str, str], float] = {}
        if not self._texts:
            self._pairs = {merge: rank for rank, merge in enumerate(growth.all_merges())}
        self._next = _AFTER_BASE + len(growth.pieces)

    def learn(self, left: str, right: str) -> None:
        """The pair is merged from now on, after everything before it."""
        if self._by_text:
            self._texts.setdefault(left + right, self._next)
        else:
            self._pairs.setdefault((left, right), self._next)
        self._next += 1

    def cut(self, piece: str) -> list[str]:
        """The tokens of a spelled piece, taken by itself."""
        tokens = list(piece)
        while len(tokens) > 1:
            ranks = [self._rank(a, b) for a, b in pairwise(tokens)]
            best = min(ranks)
            if best == float("inf"):
                break
            at = ranks.index(best)
            tokens[at : at + 2] = [tokens[at] + tokens[at + 1]]
        return tokens

    def _rank(self, left: str, right: str) -> float:
        if (rank := self._pairs.get((left, right))) is not None:
            return rank
        return self._texts.get(left + right, float("inf"))


def _ranks_of_texts(growth: Growth) -> dict[str, float]:
    """Rank by token where the text alone decides, new pieces after the base's; {} where pairs do."""
    old: dict[str, float] = {}
    if isinstance(growth, SentencePieceGrowth):
        if growth.proto is not None:
            old = {item.piece: -item.score for item in growth.proto.pieces if item.type == NORMAL}
    elif growth.by_rank:
        special = {token["content"] for token in growth.base.get("added_tokens", [])}
        old = {token: float(number) for token, number in growth.vocab.items() if token not in special}
    return old and old | {piece: float(_AFTER_BASE + n) for n, piece in enumerate(growth.pieces)}


class _Adding:
    def __init__(self, growth: Growth, budget: int, refused: Collection[str]) -> None:
        self._growth, self._room, self._refused = growth, budget, refused
        self._cutter = _Cutter(growth)
        self._left_out: Counter[str] = Counter()
        self._asked: dict[str, str] = {}

    def run(self, proposals: Iterable[Proposal], intermediates: bool) -> Applied:
        before = set(self._growth.pieces)
        self._asked = asked = self._new(proposals)
        self._add_characters()
        waiting = self._add_twos([piece for piece in asked if not self._growth.known(piece)])
        if intermediates and self._room > 0:
            waiting = self._add_chains(waiting)
        # What had no path of its own may have become a part of a later piece.
        waiting = [piece for piece in waiting if not self._growth.known(piece)]
        self._left_out["over_budget" if self._room < 1 else "no_path"] += len(waiting)
        joined = [piece for piece in asked if self._growth.known(piece)]
        hold(self._growth, [], 0.0, dict)
        self._left_out["unreachable"] += sum(not self._growth.known(piece) for piece in joined)
        _drop_unused(self._growth, asked, before)
        out = Applied(left_out=+self._left_out)
        _count_made(out, self._growth, asked, before)
        return out

    def _new(self, proposals: Iterable[Proposal]) -> dict[str, str]:
        """Language by spelled piece, of proposals that the vocabulary has not got."""
        asked: dict[str, str] = {}
        for item in proposals:
            piece = self._growth.spell(item.piece)
            if self._growth.known(piece):
                self._left_out["already_held"] += 1
            elif len(self._growth.fragments(item.piece)) > 1:
                self._left_out["not_one_word"] += 1
            elif piece in asked:
                self._left_out["twice"] += 1
            else:
                asked[piece] = item.language
        return asked

    def _add_characters(self) -> None:
        """Pieces for characters that are spelled in bytes so far, those in most pieces first."""
        uses: Counter[str] = Counter()
        language_of: dict[str, str] = {}
        for piece, language in self._asked.items():
            for char in self._growth.raw(piece).decode("utf-8", "ignore"):
                uses[char] += 1
                language_of.setdefault(char, language)
        for char, _ in sorted(uses.items(), key=lambda item: (-item[1], item[0])):
            spelled = self._growth.spell(char)
            if self._growth.known(spelled) or self._room < 1:
                continue
            merges = len(self._growth.merges)
            guard = _guard(language_of[char]) or Guard("Zyyy", free=True)
            self._room -= self._growth.admit(char, self._room, guard, language_of[char])
            for left, right in self._growth.merges[merges:]:
                self._cutter.learn(left, right)

    def _add_twos(self, waiting: list[str]) -> list[str]:
        """Add what is two tokens, until nothing is; returns what is left, in order."""
        while self._room > 0:
            left = [piece for piece in waiting if not self._add_if_two(piece)]
            if len(left) == len(waiting):
                break
            waiting = left
        return waiting

    def _add_chains(self, waiting: list[str]) -> list[str]:
        """Add what is left piece by piece, with the intermediate pieces that most others can use too."""
        cuts = {piece: self._cutter.cut(piece) for piece in waiting}
        useful = Counter(left + right for tokens in cuts.values() for left, right in pairwise(tokens))
        return [piece for piece in waiting if not self._add_chain(piece, self._asked[piece], useful)]

    def _add_chain(self, piece: str, language: str, useful: Mapping[str, int]) -> bool:
        tokens = self._cutter.cut(piece)
        if len(tokens) - 1 > self._room:
            return False
        while len(tokens) > 1:
            pairs = [(a, b) for a, b in pairwise(tokens) if a + b == piece or self._fits(a + b, language)]
            if not pairs:
                return False
            left, right = max(pairs, key=lambda pair: useful.get(pair[0] + pair[1], 0))
            self._join(left, right, language)
            tokens = self._cutter.cut(piece)
        return True

    def _add_if_two(self, piece: str) -> bool:
        tokens = self._cutter.cut(piece)
        if len(tokens) == 2 and self._room > 0:
            self._join(*tokens, self._asked[piece])
        return len(tokens) < 2 or self._growth.known(piece)

    def _join(self, left: str, right: str, language: str) -> None:
        before = len(self._growth.pieces)
        self._growth.join(left, right, language)
        self._cutter.learn(left, right)
        self._room -= len(self._growth.pieces) - before

    def _fits(self, piece: str, language: str) -> bool:
        """Whether `piece` may be added on the way to another: whole characters, or one of the script with the
        beginning of another, or such a beginning that no other script shares."""
        if piece in self._refused:
            return False
        raw, guard = self._growth.raw(piece), _guard(language)
        try:
            return bool(raw.decode("utf-8"))
        except UnicodeDecodeError:
            return guard is not None and guard.allows(raw)


@functools.cache
def _guard(language: str) -> Guard | None:
    """The guard of a language's script; None where the code names no script."""
    script = script_of(language)
    return Guard(script) if script else None
