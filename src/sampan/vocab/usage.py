"""How much each new piece is used, by language: for whose it is, and for which pieces are not worth their row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import runs as cutting
from .growth import Growth
from .joint import Tokens
from .runs import Runs

if TYPE_CHECKING:
    import numpy as np

_MAX_PRUNINGS = 20


@dataclass
class Usage:
    """Occurrences of the new pieces P in the texts: as they are, and each language's as a share of its tokens (LP)."""

    counts_P: np.ndarray
    shares_LP: np.ndarray


def usage(growth: Growth, tables: Sequence[Runs], weights: Mapping[str, float]) -> Usage:
    """Count the new pieces in the texts as they are cut now."""
    import numpy as np

    tokens, tokenizer = Tokens.of(growth), growth.bare(cutting.letters(growth, tables))
    size, ids_P = len(tokens.raw_V), np.array(growth.piece_ids, np.int64)
    counts_P, shares = np.zeros(len(ids_P), np.int64), []
    place = {piece: number for number, piece in enumerate(growth.pieces)}
    for runs in tables:
        pieces = cutting.cut(growth, tokenizer, runs, tokens.widths_V)
        for by_run, out in ((runs.counts_R, counts_P), (runs.weights_R, None)):
            tally_V = np.bincount(pieces.ids_T, weights=by_run[pieces.run_T], minlength=size)
            here_P = tally_V[ids_P]
            for char, count in runs.signs.items():  # which runs do not have
                if (at := place.get(growth.spell(char))) is not None:
                    here_P[at] += count
            if out is not None:
                out += here_P.astype(np.int64)
            else:
                shares.append(here_P / max(tally_V.sum(), 1.0) * weights.get(runs.language, 1.0))
    return Usage(counts_P, np.stack(shares))


def savings(growth: Growth, used: Usage) -> dict[str, float]:
    """What each piece and those made from it save: their shares of the languages' tokens times the tokens replaced."""
    model = growth.base_tokenizer.model
    own = [len(model.tokenize(piece)) - 1 for piece in growth.pieces]
    value = dict(zip(growth.pieces, (used.shares_LP.sum(axis=0) * own).tolist(), strict=True))
    for left, right in reversed(growth.merges):
        for side in {left, right} & value.keys():
            value[side] += value.get(left + right, 0.0)
    return value


def cheapest(growth: Growth, used: Usage, number: int, settled: Collection[str]) -> list[str]:
    """The `number` pieces, not `settled` and part of no other, that save least over the tokens they are made from."""
    made = {left + right for left, right in growth.merges}
    parts = {side for merge in growth.merges for side in merge}
    model = growth.base_tokenizer.model
    cost: dict[str, float] = {}
    for piece, share in zip(growth.pieces, used.shares_LP.sum(axis=0).tolist(), strict=True):
        if piece not in parts and piece not in settled and piece not in growth.characters:
            cost[piece] = share * (1 if piece in made else len(model.tokenize(piece)) - 1)
    return sorted(cost, key=lambda piece: (cost[piece], piece))[:number]


def rare(growth: Growth, used: Usage, min_frequency: int) -> list[str]:
    """Pieces used less than `min_frequency` times that no other piece is made from and that are no characters: what
    merging left behind."""
    counted = zip(growth.pieces, used.counts_P.tolist(), strict=True)
    count_of = {piece: count for piece, count in counted if piece not in growth.characters}
    out: list[str] = []
    gone: set[str] = set()
    for _ in range(_MAX_PRUNINGS):
        parts = {side for a, b in growth.merges if a + b not in gone for side in (a, b)}
        more = [p for p, n in count_of.items() if n < min_frequency and p not in parts and p not in gone]
        if not more:
            break
        out += more
        gone.update(more)
    return out


def attribute(growth: Growth, used: Usage, languages: Sequence[str], settled: Collection[str]) -> None:
    """Give each piece, but those `settled`, to the language that uses it, and what is made from it, for the largest
    share of its tokens."""
    index = {piece: number for number, piece in enumerate(growth.pieces)}
    shares_LP = used.shares_LP.copy()
    for left, right in reversed(growth.merges):
        if (whole := index.get(left + right)) is not None:
            for side in (left, right):
                if (part := index.get(side)) is not None and part != whole:
                    shares_LP[:, part] += shares_LP[:, whole]
    owners = shares_LP.argmax(axis=0).tolist()
    totals = shares_LP.sum(axis=0).tolist()
    for piece, owner, total in zip(growth.pieces, owners, totals, strict=True):
        if total > 0 and piece not in settled:
            growth.language_of[piece] = languages[owner]
