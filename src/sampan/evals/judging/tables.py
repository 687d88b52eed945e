"""Means of verdicts: by category, by language and over all, each with an error that allows for one question's turns.

What weighs the same is the benchmark's rule: every verdict, every category (SEA-HELM), or every language (SeaBench).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..statistics import clustered_error
from .questions import ChatQuestion
from .verdicts import FAILED, LOSS, POINTS, TIE, WIN

ALL = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What came of one turn of one model: a grade, or an outcome against `opponent` (of which '' is none).

    `value` is None where the verdict failed; `reasons` says why each failed one did; `asked` are the digests of what
    the judge read, and `said` what it was taken to say, both for the model shown first, then second, if compared.
    """

    model: str
    opponent: str
    question: ChatQuestion
    turn: int
    value: float | None
    outcome: str = ""
    reasons: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    said: tuple[str | None, ...] = ()

    def worth(self, value: float | None) -> Judged:
        """The same with another value."""
        return replace(self, value=value)


@dataclass(frozen=True, slots=True)
class Cell:
    """A mean over `n` verdicts of `of` that were asked for; None where there is none. `values` are those that the mean
    is the mean of, in order, None for the failed ones."""

    model: str
    category: str
    language: str
    metric: str
    value: float | None
    stderr: float | None
    n: int
    of: int
    values: tuple[float | None, ...] = ()


def cells(rows: Sequence[Judged], metric: str, average: str) -> list[Cell]:
    """The metric for every model, category (ALL among them) and language (ALL among them, if there are several)."""
    models = list(dict.fromkeys(row.model for row in rows))
    categories = list(dict.fromkeys(row.question.category for row in rows))
    languages = sorted({row.question.language for row in rows})
    found = []
    for model in models:
        own = [row for row in rows if row.model == model]
        for category in (ALL, *categories):
            for language in (*([ALL] if len(languages) > 1 else []), *languages):
                part = [
                    r for r in own if category in (ALL, r.question.category) and language in (ALL, r.question.language)
                ]
                if part:
                    cell = _cell(part, average)
                    found.append(replace(cell, model=model, category=category, language=language, metric=metric))
    return found


def _cell(rows: Sequence[Judged], average: str) -> Cell:
    valid = [row for row in rows if row.value is not None]
    if not valid:
        return Cell("", "", "", "", None, None, 0, len(rows))
    strata = [_stratum(row, average) for row in valid]
    weights = _weights(strata)
    values = [row.value for row in valid]
    value = _mean(values, strata)
    error = _error(values, [row.question.id for row in valid], strata, weights)
    scaled = iter(len(valid) * w * x for w, x in zip(weights, values, strict=True))
    each = tuple(None if row.value is None else next(scaled) for row in rows)
    return Cell("", "", "", "", value, error, len(valid), len(rows), each)


def _stratum(row: Judged, average: str) -> tuple[str, str]:
    """(language, category) as far as they weigh the same."""
    language = row.question.language if average in ("languages", "categories") else ""
    return language, row.question.category if average == "categories" else ""


def _weights(strata: Sequence[tuple[str, str]]) -> list[float]:
    """Equal weights of languages, of the categories in each, and of the verdicts in each of those."""
    languages = {language for language, _ in strata}
    inside = Counter(language for language, _ in set(strata))
    sizes = Counter(strata)
    return [1 / (len(languages) * inside[stratum[0]] * sizes[stratum]) for stratum in strata]


def _mean(values: Sequence[float], strata: Sequence[tuple[str, str]]) -> float:
    """The mean over languages of the mean over categories of the mean of verdicts."""
    groups: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (language, category), value in zip(strata, values, strict=True):
        groups[language][category].append(value)
    return _plain([_plain([_plain(part) for part in inside.values()]) for inside in groups.values()])


def _plain(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _error(
    values: Sequence[float], clusters: Sequence[str], strata: Sequence[tuple[str, str]], weights: Sequence[float]
) -> float | None:
    """Standard error of the weighted mean of stratum means; None if a stratum has fewer than two questions.

    Residuals are taken around each stratum's mean, stretched by sqrt(G/(G-1)) for its G questions, and summed by
    question, also over languages that share it. One stratum gives `clustered_error`.
    """
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, stratum in enumerate(strata):
        groups[stratum].append(number)
    if len(groups) == 1:
        return clustered_error(values, clusters)
    sums: dict[str, float] = defaultdict(float)
    for numbers in groups.values():
        count = len({clusters[n] for n in numbers})
        if count < 2:
            return None
        mean = _plain([values[n] for n in numbers])
        for n in numbers:
            sums[clusters[n]] += math.sqrt(count / (count - 1)) * weights[n] * (values[n] - mean)
    return math.sqrt(math.fsum(total * total for total in sums.values()))


def as_value(row: Judged, metric: str, failures: str) -> float | None:
    """What a pair counts under a metric; one whose verdicts failed counts as lost or not at all, and one that could
    not be asked about never counts."""
    if row.outcome == FAILED:
        return 0.0 if failures == "loss" and row.asked else None
    if metric == "strict_win_rate":
        return float(row.outcome == WIN)
    if metric == "win_or_tie_rate":
        return float(row.outcome in (WIN, TIE))
    return POINTS[row.outcome]


def coverage(rows: Sequence[Judged]) -> list[dict]:
    """For every model and language: how many turns there are, how many have all their verdicts, and why others came
    to nothing."""
    found = []
    for model, language in dict.fromkeys((row.model, row.question.language) for row in rows):
        own = [row for row in rows if (row.model, row.question.language) == (model, language)]
        reasons = Counter(reason for row in own for reason in row.reasons)
        outcomes = Counter(row.outcome for row in own if row.outcome)
        found.append(
            {
                "model": model,
                "language": language,
                "turns": len(own),
                "judged": sum(not row.reasons for row in own),
                "failed_verdicts": dict(sorted(reasons.items())),
                **({"outcomes": {name: outcomes[name] for name in (WIN, TIE, LOSS, FAILED)}} if outcomes else {}),
            }
        )
    return found
