"""The Open LLM Leaderboard v2: six tests of lm-evaluation-harness, each put on a scale from guessing to perfect.

100 · max(0, (score - chance) / (1 - chance)); BBH and MuSR are the plain mean of their subtasks' normalised scores,
GPQA and MATH are pooled over items before, IFEval is the mean of its two strict accuracies (no chance). The average is
the plain mean of the six. Facts: huggingface.co/docs/leaderboards/open_llm_leaderboard/normalization.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..artifacts.profile_table import LANGUAGE, Cell
from ..artifacts.scores import Score
from .task_file import ENGLISH

PROFILE = "open_llm_leaderboard_v2"
_BBH = {
    "boolean_expressions": 2, "causal_judgement": 2, "date_understanding": 6, "disambiguation_qa": 3,
    "formal_fallacies": 2, "geometric_shapes": 11, "hyperbaton": 2, "logical_deduction_five_objects": 5,
    "logical_deduction_seven_objects": 7, "logical_deduction_three_objects": 3, "movie_recommendation": 6,
    "navigate": 2, "object_counting": 19, "penguins_in_a_table": 5, "reasoning_about_colored_objects": 18,
    "ruin_names": 6, "salient_translation_error_detection": 6, "snarks": 2, "sports_understanding": 2,
    "temporal_sequences": 4, "tracking_shuffled_objects_five_objects": 5,
    "tracking_shuffled_objects_seven_objects": 7, "tracking_shuffled_objects_three_objects": 3, "web_of_lies": 2,
}  # fmt: skip
_MUSR = {"murder_mysteries": 2, "object_placements": 5, "team_allocation": 3}
_MATH = ("algebra", "counting_and_prob", "geometry", "intermediate_algebra", "num_theory", "prealgebra", "precalculus")


@dataclass(frozen=True)
class Test:
    """One of the six."""

    group: str
    """What lm-eval is asked for."""
    metrics: tuple[str, ...]
    """Averaged if several."""
    choices: dict[str, int]
    """lm-eval's tasks, with how many choices a question has; 0 = written answers, no chance."""
    pooled: bool = False
    """Whether items count alike over the tasks; else tasks do, each normalised by its own chance."""


TESTS = {
    "ifeval": Test(
        "leaderboard_ifeval", ("prompt_level_strict_acc", "inst_level_strict_acc"), {"leaderboard_ifeval": 0}
    ),
    "bbh": Test("leaderboard_bbh", ("acc_norm",), {f"leaderboard_bbh_{name}": n for name, n in _BBH.items()}),
    "math_hard": Test(
        "leaderboard_math_hard", ("exact_match",), {f"leaderboard_math_{name}_hard": 0 for name in _MATH}, True
    ),
    "gpqa": Test(
        "leaderboard_gpqa",
        ("acc_norm",),
        {f"leaderboard_gpqa_{name}": 4 for name in ("diamond", "extended", "main")},
        True,
    ),
    "musr": Test("leaderboard_musr", ("acc_norm",), {f"leaderboard_musr_{name}": n for name, n in _MUSR.items()}),
    "mmlu_pro": Test("leaderboard_mmlu_pro", ("acc",), {"leaderboard_mmlu_pro": 10}),
}
"""The six tests. MMLU-Pro counts ten choices although some of its questions have fewer, as the leaderboard does."""
TASKS = tuple(test.group for test in TESTS.values())


def normalised(score: float, choices: int) -> float:
    """A share as the leaderboard shows it, 0 to 100."""
    chance = 1 / choices if choices else 0.0
    return 100 * max(score - chance, 0.0) / (1 - chance)


def leaderboard_cells(scores: Sequence[Score]) -> list[Cell]:
    """One model's table from lm-eval's scores: the six tests and their average over what was run. Parts that were not
    run are named."""
    rows = {(score.task, score.metric): score for score in scores}
    cells = [_test_cell(name, test, rows) for name, test in TESTS.items()]
    known = [cell for cell in cells if cell.value is not None]
    value = math.fsum(cell.value or 0.0 for cell in known) / len(known) if known else None
    whole = Cell(
        language=ENGLISH,
        competency=LANGUAGE,
        value=value,
        stderr=_joint([cell.stderr for cell in known]),
        n=sum(cell.n for cell in cells),
        ran=[task for cell in cells for task in cell.ran],
        not_run={task: why for cell in cells for task, why in cell.not_run.items()},
    )
    return [*cells, whole]


def _test_cell(name: str, test: Test, rows: dict[tuple[str, str], Score]) -> Cell:
    ran = [task for task in test.choices if all((task, metric) in rows for metric in test.metrics)]
    parts = []
    for task in ran:
        told = [rows[task, metric] for metric in test.metrics]
        score = math.fsum(row.value for row in told) / len(told)
        # both accuracies of IFEval are of the same answers: the larger error stands for their mean
        errors = [row.stderr for row in told if row.stderr is not None]
        parts.append((score, max(errors) if errors else None, max(row.n for row in told), test.choices[task]))
    value, error = _pooled(parts) if test.pooled else _plain(parts)
    return Cell(
        language=ENGLISH,
        competency=name,
        value=value,
        stderr=error,
        n=sum(part[2] for part in parts),
        ran=ran,
        not_run={task: "not among the tasks that were run" for task in test.choices if task not in ran},
    )


_Part = tuple[float, float | None, int, int]
"""Score, standard error, items and choices of one task."""


def _plain(parts: Sequence[_Part]) -> tuple[float | None, float | None]:
    if not parts:
        return None, None
    value = math.fsum(normalised(score, choices) for score, _, _, choices in parts) / len(parts)
    scales = [100 / (1 - 1 / choices) if choices else 100.0 for *_, choices in parts]
    errors = [error and error * scale for (_, error, _, _), scale in zip(parts, scales, strict=True)]
    return value, _joint(errors)


def _pooled(parts: Sequence[_Part]) -> tuple[float | None, float | None]:
    items = sum(n for _, _, n, _ in parts)
    if not items:
        return None, None
    share = math.fsum(score * n for score, _, n, _ in parts) / items
    joint = _joint([error and error * n * len(parts) / items for _, error, n, _ in parts])
    return _plain([(share, joint, items, parts[0][3])])


def _joint(errors: Sequence[float | None]) -> float | None:
    """The error of a mean of independent parts; None where one is not known."""
    known = [error for error in errors if error is not None]
    return math.hypot(*known) / len(known) if known and len(known) == len(errors) else None
