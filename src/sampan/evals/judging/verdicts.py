"""Reading verdicts: a grade, or which of two answers is better, told apart from everything that is neither.

Two answers are always compared in both orders. What counts then is MT-Bench's rule (arXiv:2306.05685, section 3.4): a
win only if both orders say so, otherwise a tie. How a judge leans to the answer it sees first is measured on the way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..statistics import clustered_error

WIN, TIE, LOSS, FAILED = "win", "tie", "loss", "failed"
POINTS = {WIN: 1.0, TIE: 0.5, LOSS: 0.0}
_GRADE = re.compile(r"\[\[(\d+(?:\.\d+)?)\]\]")
_SINGLE = re.compile(r"\[(\d+(?:\.\d+)?)\]")
PLACES = ("[[A]]", "[[B]]", "[[C]]")
"""The answer shown first is better, the second, neither."""


def spoken(text: str) -> str:
    """What a judge says after it has thought: marks inside `<think>` are no verdict."""
    return text.rpartition("</think>")[2]


def grade(text: str, low: float, high: float, *, single_brackets: bool) -> float | None:
    """The grade in a verdict, None without one between `low` and `high`.

    The first `[[7]]`, as SeaBench reads it; or else, with `single_brackets`, the first `[7]`, as FastChat does.
    """
    said = spoken(text)
    found = _GRADE.search(said) or (_SINGLE.search(said) if single_brackets else None)
    if found is None or not low <= float(found[1]) <= high:
        return None
    return float(found[1])


def place(text: str) -> str | None:
    """`A`, `B` or `C` (neither), None unless exactly one of the three marks is there (SEA-HELM's rule)."""
    said = spoken(text)
    found = [mark for mark in PLACES if mark in said]
    return found[0].strip("[]") if len(found) == 1 else None


def outcome(place: str | None, model_first: bool) -> str:
    """What a verdict means for the model under test, which was shown as A if `model_first`."""
    if place is None:
        return FAILED
    if place == "C":
        return TIE
    return WIN if (place == "A") == model_first else LOSS


def settled(first: str, second: str, failures: str) -> str:
    """One outcome of both orders.

    `failures` = "loss" (SEA-HELM): a failed verdict beside another is a tie, since they differ; two are a failure.
    "left_out" (FastChat): one failed verdict fails the pair.
    """
    if failures == "left_out" and FAILED in (first, second):
        return FAILED
    return first if first == second else TIE


@dataclass(frozen=True, slots=True)
class Leaning:
    """How much the order of two answers decides. Rates are None where nothing was told.

    `flip_rate`: share of pairs, both orders read, whose two verdicts do not say the same of the same answers.
    `first_rate`: share of verdicts for one of the two answers that were for the one shown first; 0.5 is fair.
    `first_stderr`: its standard error, clustered by question.
    """

    pairs: int
    flips: int
    flip_rate: float | None
    verdicts: int
    first_rate: float | None
    first_stderr: float | None


def leaning(pairs: Sequence[tuple[str, str | None, str | None]]) -> Leaning:
    """The leaning in (question, verdict with the model as A, verdict with the model as B)."""
    both = [(ab, ba) for _, ab, ba in pairs if ab is not None and ba is not None]
    flips = sum(outcome(ab, True) != outcome(ba, False) for ab, ba in both)
    told = [(question, verdict) for question, *pair in pairs for verdict in pair if verdict in ("A", "B")]
    first = [float(verdict == "A") for _, verdict in told]
    return Leaning(
        pairs=len(both),
        flips=flips,
        flip_rate=flips / len(both) if both else None,
        verdicts=len(first),
        first_rate=sum(first) / len(first) if first else None,
        first_stderr=clustered_error(first, [question for question, _ in told]) if first else None,
    )
