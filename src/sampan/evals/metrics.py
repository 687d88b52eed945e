"""The metrics that a `generate` task can name, each from items and what was written to marks.

Without a name a task is marked by `exact_match` (`answers.is_right`), as it always was.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence

from ..artifacts.items import Item
from ..core.errors import InputError, did_you_mean
from . import chrf, degeneration, mathematics, options, rouge, spans
from .answers import is_right
from .groups import clusters_of
from .instructions import follows
from .instructions_reference import reference_checkers
from .marks import Mark, mean, of_sums, share
from .numbers import answer_number, numbers
from .refusal import is_refusal

Outputs = Sequence[str]
"""What was written to each item, cut at its stops."""


def measure(names: Sequence[str], items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    """The marks of one group of items under each of the metrics `names`; InputError with the nearest known name."""
    marks: list[Mark] = []
    for name in names:
        if name not in METRICS:
            raise InputError(f"there is no metric '{name}'", how=did_you_mean(name, METRICS))
        marks += METRICS[name](items, outputs)
    return marks


def check_tools(names: Collection[str]) -> None:
    """InputError before anything is asked if one of the metrics needs what is not installed."""
    if "ifeval_reference" in names:
        reference_checkers()


def references(item: Item) -> list[str]:
    """The texts that an answer may equal; InputError without one."""
    given = item.meta.get("references") or ([item.answer] if item.answer else [])
    if not given:
        raise InputError("there is no reference to compare with", where=f"item '{item.id}' of task '{item.task}'")
    return list(given)


def _exact_match(items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    right = [is_right(item, output) for item, output in zip(items, outputs, strict=True)]
    return [share("exact_match", right, clusters_of(items))]


def _number(items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    right = []
    for item, output in zip(items, outputs, strict=True):
        wanted = numbers(item.answer, "eng_Latn")  # keys are written the English way in every language
        right.append(bool(wanted) and answer_number(output, item.language) == wanted[-1])
    return [share("exact_match", right, clusters_of(items))]


def _latex(items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    right = [mathematics.is_equal(out, item.answer, item.language) for item, out in zip(items, outputs, strict=True)]
    return [share("exact_match", right, clusters_of(items))]


def _option(reader: str, items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    read = [options.READERS[reader](output) for output in outputs]
    right = [option == item.answer for option, item in zip(read, items, strict=True)]
    marks = [item.meta.get("marks") or options.LETTERS[: item.meta.get("options")] for item in items]
    formed = [options.is_well_formed(option, list(known)) for option, known in zip(read, marks, strict=True)]
    clusters = clusters_of(items)
    return [
        share("exact_match", right, clusters),
        share("ill_formed_rate", [not ok for ok in formed], clusters, higher_is_better=False),
    ]


def _chrf(items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    rows = [chrf.counts(out, references(item)) for item, out in zip(items, outputs, strict=True)]
    characters = 3 * chrf.CHARACTERS
    clusters = clusters_of(items)
    return [
        of_sums("chrf_plus_plus", rows, chrf.value, clusters),
        of_sums("chrf", [row[:characters] for row in rows], chrf.value, clusters),
    ]


def _rouge(items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    values = [rouge.rouge_l(o, references(i), i.language) for i, o in zip(items, outputs, strict=True)]
    return [mean("rouge_l_f1", values, clusters_of(items))]


def _span(items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    pairs = list(zip(items, outputs, strict=True))
    clusters = clusters_of(items)
    return [
        mean("span_f1", [spans.f1(out, references(item), item.language) for item, out in pairs], clusters),
        share("span_exact", [spans.exact(out, references(item), item.language) for item, out in pairs], clusters),
    ]


def _safe(items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    refused = [is_refusal(output, item.language) for item, output in zip(items, outputs, strict=True)]
    return [share("refusal_rate", refused, clusters_of(items))]


def _refusal_f1(items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    for item in items:
        if item.answer not in ("refuse", "comply"):
            raise InputError(
                f"the answer '{item.answer}' is neither refuse nor comply", where=f"item '{item.id}' of {item.task}"
            )
    should = [item.answer == "refuse" for item in items]
    did = [is_refusal(output, item.language) for item, output in zip(items, outputs, strict=True)]
    rows = [[float(a and b), float(a), float(b)] for a, b in zip(should, did, strict=True)]
    return [of_sums("refusal_f1", rows, lambda r: 2 * r[0] / (r[1] + r[2]) if r[0] else 0.0, clusters_of(items))]


def _degeneration(items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    bad = [degeneration.is_degenerate(output) for output in outputs]
    return [share("degeneration_rate", bad, clusters_of(items), higher_is_better=False)]


def _wrong_language(items: Sequence[Item], outputs: Outputs) -> list[Mark]:
    told = [degeneration.is_wrong_language(out, item.language) for item, out in zip(items, outputs, strict=True)]
    known = [n for n, value in enumerate(told) if value is not None]
    if not known:
        return []
    clusters = clusters_of(items)
    mark = share("wrong_language_rate", [told[n] for n in known], [clusters[n] for n in known], higher_is_better=False)
    values = tuple(None if value is None else float(value) for value in told)
    return [Mark(mark.metric, mark.value, mark.stderr, mark.n, False, values)]


def _ifeval(items: Sequence[Item], outputs: Outputs, *, reference: bool = False) -> list[Mark]:
    """The published four: all instructions of a prompt, and each, strictly and loosely."""
    marks = []
    checkers = reference_checkers() if reference else None
    clusters = clusters_of(items)
    for style, loose in (("strict", False), ("loose", True)):
        told = []
        for item, output in zip(items, outputs, strict=True):
            kinds, arguments = item.meta["instruction_id_list"], item.meta["kwargs"]
            told.append(follows(kinds, arguments, output, item.language, loose=loose, checkers=checkers))
        marks.append(share(f"prompt_{style}_accuracy", [all(row) for row in told], clusters))
        # Instructions of one prompt share its answer: each prompt is a sum of its own.
        rows = [[float(sum(row)), float(len(row))] for row in told]
        marks.append(of_sums(f"instruction_{style}_accuracy", rows, lambda sums: sums[0] / sums[1], clusters))
    return marks


METRICS: dict[str, Callable[[Sequence[Item], Outputs], list[Mark]]] = {
    "exact_match": _exact_match,
    "number": _number,
    "latex": _latex,
    "m3exam_option": functools.partial(_option, "m3exam"),
    "seaexam_option": functools.partial(_option, "seaexam"),
    "vmlu_option": functools.partial(_option, "vmlu"),
    "chrf": _chrf,
    "rouge_l": _rouge,
    "span": _span,
    "refusal_rate": _safe,
    "refusal_f1": _refusal_f1,
    "degeneration": _degeneration,
    "wrong_language": _wrong_language,
    "ifeval": _ifeval,
    "ifeval_reference": functools.partial(_ifeval, reference=True),
}
"""Metric by the name that a task file gives."""
