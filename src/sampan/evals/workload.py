"""How much bundled tasks ask, before any row is read: from the task files and the sizes of the published tests."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .groups import code
from .suites import SUITES
from .task_file import ENGLISH, load_task, pairs

if TYPE_CHECKING:
    from .run import Params

ROWS = {
    "belebele": 900, "c3_dialogue": 1500, "cmmlu": 11582, "flores": 1012, "global_mmlu_lite": 400,
    "global_mmlu_lite_cloze": 400, "gsm8k": 1319, "iapp_wiki_qa": 739, "ifeval": 541, "indonli": 2201,
    "indonli_expert": 2984, "lindsea_syntax": 425, "m3exam": 2000, "math": 5000, "mgsm": 250, "multijail": 315,
    "nusax_sentiment": 400, "paraphrase": 400, "sea_safeguard_refusal": 500, "seaexam": 2000, "seaexam_mmlu": 2000,
    "vmlu": 744, "wisesight_sentiment": 2671, "xcopa": 500, "xlsum": 4000, "xquad": 1190,
}  # fmt: skip
"""Rows of one language, about: for forecasts only."""
PROMPT_TOKENS = 200
"""Of one question, about."""


class Workload(NamedTuple):
    """Items that one model is asked, and their tokens with those of the longest answers."""

    items: int
    tokens: int


def workload(params: Params, data: Path | None) -> Workload:
    """What bundled tasks ask one model; of a `suite` only what has a file in the folder `data`, if that is
    known."""
    names = list(dict.fromkeys([*params.tasks, *_suite(params, data)]))
    items = tokens = 0
    for name in names:
        task = _task(name)
        codes = [name for name in task.languages if not params.languages or name in _languages(params)]
        count = len(pairs(task, codes, directions_of(params))) * _rows(name, params.max_items)
        written = params.max_new_tokens or task.max_new_tokens if task.type == "generate" else 0
        items += count
        tokens += count * (PROMPT_TOKENS + written)
    return Workload(items, tokens)


def directions_of(params: Params) -> str:
    """The directions of translation that are asked: all between languages without English."""
    return "all" if params.languages and ENGLISH not in _languages(params) else params.directions


def _rows(name: str, most: int) -> int:
    return min(most or ROWS[name], ROWS[name])


def _languages(params: Params) -> list[str]:
    return [code(language) for language in params.languages]


def _suite(params: Params, data: Path | None) -> Sequence[str]:
    suite = SUITES.get(params.suite, ())
    if data is None or not data.is_dir():
        return suite
    from .task_items import with_files

    return with_files(suite, data)


_task = functools.cache(load_task)
