"""SEA-HELM's score of each kind of task, on its scale of 0 to 100, from rows and what was answered.

The mark that enters the total has the official name. Scores are those of the official code; their standard errors are
ours (jackknife for balanced accuracy, over items otherwise).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.errors import InputError
from .. import chrf, rouge, spans
from ..marks import Mark, mean, of_sums, share
from ..sea_instructions import passes
from . import extraction
from .tasks import PRAGMATIC_V1, V1, SeaTask

Row = Mapping[str, Any]
WORST_METRICX = 25.0
"""MetricX-24 gives 0 (best) to 25."""


@dataclass(frozen=True)
class Marked:
    """What one model's answers to one task are worth."""

    marks: tuple[Mark, ...]
    read: tuple[Any, ...]
    """What was read out of each answer."""
    phenomena: tuple[tuple[str, float], ...] = ()
    """LINDSEA: each item's phenomenon, and whether it was right, or by log-probability what it gave."""

    def entering(self, metric: str) -> Mark | None:
        """The mark that enters the total under its official name; None for a half of LINDSEA's pragmatics, which counts
        with the other half, for translations without MetricX, and where no instruction that was asked counts."""
        return next((mark for mark in self.marks if mark.metric == metric), None)


def mark_task(
    task: SeaTask, profile: str, rows: Sequence[Row], answers: Sequence[str | None], metricx: Sequence[float] = ()
) -> Marked:
    """Marks of `answers` (None = the model failed) to `rows`. `metricx` are scores of MetricX-24 by row, if there are.

    InputError for an unknown label or a lacking column.
    """
    try:
        return _KINDS[task.kind](task, profile, rows, answers, metricx)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"a row lacks what task '{task.name}' is marked by ({error})", where=f"{task.name}, {task.code}"
        ) from None


def _labels(task: SeaTask, profile: str, rows: Sequence[Row], answers: Sequence[str | None], _: Any) -> Marked:
    gold = [row["label"] for row in rows]
    if profile == V1:
        labels = task.labels
        read = [extraction.label_v1(answer, task.tag, labels) for answer in answers]
        if odd := set(gold) - set(labels.values()):
            raise InputError(f"the label '{odd.pop()}' is none of the task's", where=f"{task.name}, {task.code}")
    else:
        labels = {str(label).lower(): label for label in gold}
        names = list(map(str, dict.fromkeys(gold)))
        read = [extraction.label_v12(answer, task.tag, names) for answer in answers]
    return Marked((*_balanced(gold, read, len(labels)), _nulls(read, extraction.NULL)), tuple(read))


def _balanced(gold: Sequence[Any], read: Sequence[Any], labels: int) -> list[Mark]:
    """Mean over the gold classes of the share found, against guessing among `labels`."""
    classes = {label: place for place, label in enumerate(dict.fromkeys(gold))}
    rows = []
    for label, said in zip(gold, read, strict=True):
        row = [0.0] * (2 * len(classes))
        row[2 * classes[label]] = 1.0
        row[2 * classes[label] + 1] = float(said == label)
        rows.append(row)

    def accuracy(sums: Sequence[float]) -> float:
        found = [right / count for count, right in zip(sums[::2], sums[1::2], strict=True) if count > 0]
        return sum(found) / len(found)

    return [
        of_sums("normalized_accuracy", rows, lambda sums: 100 * above_chance(accuracy(sums), 1 / labels)),
        of_sums("accuracy", rows, lambda sums: 100 * accuracy(sums)),
    ]


def above_chance(value: float, chance: float) -> float:
    """How much of the way from chance to 1, at least 0; 0 where there is nothing to choose."""
    return max((value - chance) / (1 - chance), 0.0) if chance != 1 else 0.0


def _nulls(read: Sequence[Any], null: Any) -> Mark:
    return share("null_rate", [value == null for value in read], higher_is_better=False)


def _texts(task: SeaTask, profile: str, answers: Sequence[str | None]) -> list[str]:
    reader = extraction.text_v1 if profile == V1 else extraction.text_v12
    return [reader(answer, task.tag) for answer in answers]


def _references(task: SeaTask, row: Row) -> list[str]:
    """Gold answers; Thai and Chinese are compared with the first alone, as the official code does."""
    label = row["label"]
    texts = list(map(str, label)) if isinstance(label, list | tuple) else [str(label)]
    return texts[:1] if task.language in ("tha_Thai", "zho_Hans") else texts


def _answer(task: SeaTask, profile: str, rows: Sequence[Row], answers: Sequence[str | None], _: Any) -> Marked:
    read = _texts(task, profile, answers)
    pairs = [(text, _references(task, row)) for text, row in zip(read, rows, strict=True)]
    f1 = [100 * spans.f1(text, gold, task.language) for text, gold in pairs]
    exact = [100.0 * spans.exact(text, gold, task.language) for text, gold in pairs]
    return Marked((mean("normalized_f1", f1), mean("exact_match", exact), _nulls(read, "")), tuple(read))


def _summary(task: SeaTask, profile: str, rows: Sequence[Row], answers: Sequence[str | None], _: Any) -> Marked:
    read = _texts(task, profile, answers)
    # 1.0 cuts Thai only; other scripts go to the plain tokenizer
    language = task.language if profile != V1 or task.language == "tha_Thai" else "eng_Latn"
    values = [100 * rouge.rouge_l(text, [str(row["label"])], language) for text, row in zip(read, rows, strict=True)]
    plain = mean("normalized_rougel_f1", values)
    middle = rouge.sea_helm_mean(values)
    mark = Mark(plain.metric, middle, plain.stderr, plain.n, True, plain.values)
    return Marked((mark, _nulls(read, "")), tuple(read))


def _translation(
    task: SeaTask, profile: str, rows: Sequence[Row], answers: Sequence[str | None], metricx: Sequence[float]
) -> Marked:
    read = _texts(task, profile, answers)
    counts = [chrf.counts(text, [str(row["label"])]) for text, row in zip(read, rows, strict=True)]
    extra = (of_sums("chrf_score", counts, chrf.value), _nulls(read, ""))
    if not metricx:
        return Marked(extra, tuple(read))
    if len(metricx) != len(rows):
        raise InputError(f"{len(metricx)} MetricX scores for {len(rows)} answers", where=f"{task.name}, {task.code}")
    values = [100 * max((WORST_METRICX - float(score)) / WORST_METRICX, 0.0) for score in metricx]
    return Marked((mean("normalized_metricx_wmt24_scores", values), *extra), tuple(read))


def _pairs(task: SeaTask, profile: str, rows: Sequence[Row], answers: Sequence[str | None], _: Any) -> Marked:
    gold = [str(row["label"]) for row in rows]
    if profile == V1:
        read = [extraction.label_v1(answer, task.tag, task.labels) for answer in answers]
        right = [said == task.labels.get(label.lower()) for said, label in zip(read, gold, strict=True)]
        labels = len(task.labels)
    else:
        names = list(dict.fromkeys(gold))
        read = [extraction.label_v12(answer, task.tag, names, exact_case=True) for answer in answers]
        right = [said == label for said, label in zip(read, gold, strict=True)]
        labels = len({name.lower() for name in names})
    told = _phenomena(rows, right)
    return Marked((by_phenomenon(told, 1 / labels), _nulls(read, extraction.NULL)), tuple(read), told)


def _pragmatic(task: SeaTask, profile: str, rows: Sequence[Row], answers: Sequence[str | None], _: Any) -> Marked:
    if profile == V1:
        read = [
            extraction.label_v1(answer, task.tag, _words(task, row)) for answer, row in zip(answers, rows, strict=True)
        ]
        right = [said == _truth(row["label"]) for said, row in zip(read, rows, strict=True)]
    else:
        names = list(dict.fromkeys(str(row["label"]) for row in rows))
        read = [extraction.label_v12(answer, task.tag, names, exact_case=True) for answer in answers]
        right = [said == row["label"] for said, row in zip(read, rows, strict=True)]
    told = _phenomena(rows, right)
    plain = share("accuracy", right)
    accuracy = mean("accuracy", [100 * value for value in plain.values if value is not None])
    return Marked((accuracy, _nulls(read, extraction.NULL)), tuple(read), told)


def _words(task: SeaTask, row: Row) -> Mapping[str, Any]:
    """1.0: the words that mean true and false; single sentences offer either of two pairs in Indonesian."""
    if task.labels:
        return task.labels
    table = PRAGMATIC_V1[task.code]
    return table.get(row["prompts"][0].get("choices_translated", ""), table.get("", {}))


def _truth(label: Any) -> int:
    return int(label) if isinstance(label, bool | int) else {"True": 1, "Yes": 1, "False": 0, "No": 0}[label]


def _phenomena(rows: Sequence[Row], right: Sequence[bool]) -> tuple[tuple[str, float], ...]:
    return tuple(zip(_kinds(rows), map(bool, right), strict=True))


def _kinds(rows: Sequence[Row]) -> list[str]:
    return [row["metadata"]["linguistic_phenomenon"] for row in rows]


def by_phenomenon(told: Sequence[tuple[str, float]], chance: float) -> Mark:
    """LINDSEA's normalised accuracy: the plain mean of the phenomena's shares, against `chance`."""
    kinds = {kind: place for place, kind in enumerate(dict.fromkeys(kind for kind, _ in told))}
    rows = []
    for kind, right in told:
        row = [0.0] * (2 * len(kinds))
        row[2 * kinds[kind] : 2 * kinds[kind] + 2] = 1.0, float(right)
        rows.append(row)

    def figure(sums: Sequence[float]) -> float:
        shares = [right / count for count, right in zip(sums[::2], sums[1::2], strict=True) if count > 0]
        return 100 * above_chance(math.fsum(shares) / len(shares), chance)

    return of_sums("normalized_accuracy", rows, figure)


def _likelihood(task: SeaTask, profile: str, rows: Sequence[Row], answers: Sequence[str | None], _: Any) -> Marked:
    """The gold labels' mean probability, of 100; 0 for an answer that did not come to its tag."""
    values = [100 * math.exp(float(answer)) if answer else 0.0 for answer in answers]
    shown = tuple(f"{value:.4g} %" if answer else "" for value, answer in zip(values, answers, strict=True))
    whole = task.kind == "likelihood"  # a half of pragmatics counts with the other half
    mark = mean(task.metric if whole else "probability", values)
    told = () if whole else tuple(zip(_kinds(rows), values, strict=True))
    return Marked((mark, _nulls([answer or "" for answer in answers], "")), shown, told)


def _instruction(task: SeaTask, profile: str, rows: Sequence[Row], answers: Sequence[str | None], _: Any) -> Marked:
    version = "1.0" if profile == V1 else "1.2"
    told = []
    for row, answer in zip(rows, answers, strict=True):
        given = {name: value for name, value in row["kwargs"][0].items() if value is not None}
        kind = row["metadata"]["subcategory"]
        told.append(passes(kind, given, answer or "", task.language, task.code, version))
    counted = [100.0 * value for value in told if value is not None]
    if not counted:
        return Marked((), tuple(told))
    mark = mean("overall_lang_normalized_acc", counted)
    values = tuple(None if value is None else 100.0 * value for value in told)
    whole = Mark(mark.metric, mark.value, mark.stderr, mark.n, True, values)
    return Marked((whole,), tuple(told))


_KINDS = {
    "label": _labels,
    "answer": _answer,
    "summary": _summary,
    "translation": _translation,
    "pair": _pairs,
    "pragmatic": _pragmatic,
    "instruction": _instruction,
    "likelihood": _likelihood,
    "pragmatic_likelihood": _likelihood,
}
