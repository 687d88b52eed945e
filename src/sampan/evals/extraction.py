"""What a metric read out of an answer, as a text for people: the number, the letter, the box, what was followed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from ..artifacts.items import Item
from . import mathematics, options
from .answers import last_number
from .instructions import follows
from .instructions_reference import reference_checkers
from .numbers import answer_number
from .refusal import is_refusal


def extract(metrics: Sequence[str], item: Item, output: str) -> str:
    """By the first of `metrics` that reads something out of an answer; '' where the answer counts as it is."""
    reader = next((EXTRACTORS[name] for name in metrics if name in EXTRACTORS), None)
    return reader(item, output) if reader else ""


def _exact(item: Item, output: str) -> str:
    if item.meta.get("match") != "number":
        return ""
    return " or ".join(map(str, sorted(last_number(output))))


def _number(item: Item, output: str) -> str:
    found = answer_number(output, item.language)
    return "" if found is None else str(found)


def _latex(item: Item, output: str) -> str:
    found = mathematics.boxed(output)
    return _number(item, output) if found is None else found


def _option(reader: str, item: Item, output: str) -> str:
    return options.READERS[reader](output)


def _refusal(item: Item, output: str) -> str:
    return "refuse" if is_refusal(output, item.language) else "comply"


def _ifeval(item: Item, output: str, *, reference: bool = False) -> str:
    kinds = item.meta["instruction_id_list"]
    checkers = reference_checkers() if reference else None
    told = follows(kinds, item.meta["kwargs"], output, item.language, checkers=checkers)
    return "; ".join(f"{kind}: {'followed' if ok else 'not followed'}" for kind, ok in zip(kinds, told, strict=True))


EXTRACTORS: dict[str, Callable[[Item, str], str]] = {
    "exact_match": _exact,
    "number": _number,
    "latex": _latex,
    **{f"{name}_option": functools.partial(_option, name) for name in options.READERS},
    "refusal_rate": _refusal,
    "refusal_f1": _refusal,
    "ifeval": _ifeval,
    "ifeval_reference": functools.partial(_ifeval, reference=True),
}
"""Extractor by metric; the others mark the answer as it is."""
