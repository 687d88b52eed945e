"""SEA-MTBench's win rate against a fixed opponent (version 1.0), from what a judge said.

Each turn is judged twice, with the model's answer first and second. Both verdicts must agree, else it is a tie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import InputError
from ..marks import Mark, mean

WIN, LOSE, TIE, ERROR = "win", "lose", "tie", "error"
POINTS = {WIN: 1.0, TIE: 0.5, LOSE: 0.0, ERROR: 0.0}
BEFORE, AFTER = "baseline-before", "baseline-after"
"""Where the opponent's answer stood."""


def verdict(said: str | None, order: str) -> str:
    """What a judge's text means for the model: it names exactly one of [[A]], [[B]] and [[C]], else it is an error."""
    named = [letter for letter in "ABC" if f"[[{letter}]]" in (said or "")]
    if len(named) != 1:
        return ERROR
    if named == ["C"]:
        return TIE
    return WIN if (named == ["A"]) == (order == AFTER) else LOSE


def agreed(first: str, second: str) -> str:
    """One verdict of two: a tie unless they are the same."""
    return first if first == second else TIE


def win_rate(rows: Sequence[Mapping[str, Any]]) -> Mark:
    """`weighted_win_rate`, 0 to 100: the plain mean over categories of points per turn (win 1, tie ½).

    Rows have `question_id`, `category`, `turn`, `order` and `judgement`. A judgement that is missing counts as an
    error, as does one that cannot be read. InputError for a row that lacks one of these or has another order.
    """
    turns: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in rows:
        try:
            key = str(row["category"]), str(row["question_id"]), str(row["turn"])
            order, said = row["order"], row["judgement"]
        except KeyError as error:
            raise InputError(f"a judgement has no {error}") from None
        if order not in (BEFORE, AFTER):
            raise InputError(f"the order '{order}' is neither {BEFORE} nor {AFTER}")
        turns.setdefault(key, {})[order] = verdict(said, order)
    points: dict[str, list[float]] = {}
    for (category, _, _), told in turns.items():
        points.setdefault(category, []).append(POINTS[agreed(told.get(BEFORE, ERROR), told.get(AFTER, ERROR))])
    shares = [mean("weighted_win_rate", [100 * value for value in values]) for values in points.values()]
    value = sum(share.value for share in shares) / len(shares)
    known = [share.stderr for share in shares if share.stderr is not None]
    error = sum(e * e for e in known) ** 0.5 / len(shares) if len(known) == len(shares) else None
    return Mark("weighted_win_rate", value, error, len(turns))
