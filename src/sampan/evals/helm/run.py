"""Examining checkpoints by SEA-HELM: ask, read, mark, total; finished tasks are kept for a resumed run."""

from __future__ import annotations

import functools
import gc
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...artifacts.item_values import Asked, ItemValues, write_item_values
from ...artifacts.profile_table import Cell, ProfileTable, cell_score, write_profile_table
from ...artifacts.scores import Score, write_scores
from ...core.errors import InputError, RecipeError, did_you_mean
from ...core.identity import digest_value
from ...core.lines import lines_of, write_jsonl
from ...core.stage import Artifact, Inputs, Runtime
from ..groups import code, describe_prompt
from ..marks import Mark
from ..progress import parts_of_bar
from ..team import Team
from . import rows as stored
from .answers import answer_task
from .marks import Marked, mark_task
from .outside import Outside
from .prompts import Messages, Row, chosen_examples, conversation
from .tasks import V1, SeaTask, suite_tasks
from .total import Result, totals

if TYPE_CHECKING:
    from ..sea_helm import Params

ANSWERS = "answers.jsonl"
"""Every answer with what was read out of it."""
BASE_SKIPS = ("mt-bench", "mt-bench-101", "kalahi-mc", "kalahi-mc-logprobs", "if-eval", "ifeval")
"""Tasks that base models are not asked in 1.2; in 1.0 only the first and third."""
BASE_SHOTS = 5
_ITEM_COLUMNS = ("model", "model_digest", "task", "language", "metric", "prompt_digest", "revision")
NO_SCORE = {
    "translation": "answered, but its score needs MetricX-24: give its scores of these answers as `metricx`",
    "instruction": "none of the instructions that were asked counts in this language",
}
"""Why a task that was answered has no score."""


@dataclass(frozen=True)
class Sheet:
    """One task as it is asked. Without questions, `why_not` says why."""

    task: SeaTask
    rows: Sequence[Row] = ()
    questions: Sequence[Messages] = ()
    why_not: str = ""

    @functools.cached_property
    def digest(self) -> str:
        """Digest of all that is asked and of the right answers."""
        return digest_value([list(self.questions), [row.get("label") for row in self.rows], self.task.metric])

    @property
    def ids(self) -> list[str]:
        return [str(row.get("id", number)) for number, row in enumerate(self.rows)]


def examine(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Scores, item values, answers and the table of all models into `runtime.out`; returns counts and coverage."""
    import torch

    torch.set_num_threads(max(1, runtime.threads))
    sheets = prepare(params, inputs)
    outside = Outside.read(inputs, params.judged_as)
    earlier = _earlier(inputs.many("answers"))
    models = list({model.digest: model for model in inputs.many("models")}.values())
    answers = _answers(params, runtime, models, sheets, earlier)
    found = {
        model.name: [
            _examined(params, sheet, model, answers[model.digest, sheet.digest] if sheet.questions else [], outside)
            for sheet in sheets
        ]
        for model in models
    }
    return _write(params, runtime, models, found, sheets)


def prepare(params: Params, inputs: Inputs) -> list[Sheet]:
    """What is asked. RecipeError for a language or task that the suite has not."""
    repository, data = inputs.one("sea_helm").path, inputs.optional("data")
    tasks = suite_tasks(repository, params.profile, params.suite)
    for wanted, known, name in (
        ([code(language) for language in params.languages], {task.language for task in tasks}, "languages"),
        (params.tasks, {task.name for task in tasks}, "tasks"),
    ):
        for one in wanted:
            if one not in known:
                raise RecipeError(f"the suite has no '{one}'", where=name, how=did_you_mean(one, known))
    languages = [code(language) for language in params.languages] or {task.language for task in tasks}
    return [
        _sheet(params, task, repository, data and data.path)
        for task in tasks
        if task.language in languages and (not params.tasks or task.name in params.tasks)
    ]


def _sheet(params: Params, task: SeaTask, repository: Any, data: Any) -> Sheet:
    skipped = (BASE_SKIPS[0], BASE_SKIPS[2]) if params.profile == V1 else BASE_SKIPS
    if params.base_model and task.name in skipped:
        return Sheet(task, why_not="base models are not asked this")
    if not task.kind:
        return Sheet(task, why_not=f"{task.needs}, which is not done here: give its scores as `judged`")
    rows = stored.eval_rows(task, repository, data)
    if not rows:
        return Sheet(task, why_not=f"its rows ({task.rows}) are not here: give a copy as `data`")
    rows = rows[: params.max_items] if params.max_items else rows
    shots = _shots(params, task)
    examples = stored.example_rows(task, repository, data) if shots else []
    if examples is None:
        return Sheet(task, why_not=f"its solved examples ({task.examples}) are not here")
    examples = chosen_examples(task, examples, shots)
    questions = [conversation(task, params.profile, row, examples) for row in rows]
    return Sheet(task, rows, questions)


def _shots(params: Params, task: SeaTask) -> int:
    if params.shots is not None:
        return params.shots
    if task.shots:
        return task.shots.get("base" if params.base_model else "instruct") or 0
    return BASE_SHOTS if params.base_model else 0


def _answers(
    params: Params,
    runtime: Runtime,
    models: Sequence[Artifact],
    sheets: Sequence[Sheet],
    earlier: Mapping[tuple[str, str], list[str]],
) -> dict[tuple[str, str], list[str]]:
    """Every model's answers by its digest and the sheet's: those of an earlier run, and new ones, which the processes
    of this run write together."""
    todo = [(m, s) for m in models for s in sheets if s.questions and (m.digest, s.digest) not in earlier]
    starts = [0, *itertools.accumulate(len(sheet.questions) for _, sheet in todo)]
    team, loaded = Team(runtime), {}

    def work(number: int) -> dict[str, Any]:
        model, sheet = todo[number]
        if model.digest not in loaded:
            loaded.clear()
            gc.collect()
            loaded[model.digest] = _load(params, team, model)
        answers = answer_task(
            *loaded[model.digest],
            sheet.task,
            params.profile,
            sheet.questions,
            [str(row.get("label", "")) for row in sheet.rows],
            base=params.base_model,
            batch_size=params.batch_size,
            seed=params.seed,
            progress=parts_of_bar(runtime, starts[number], starts[-1])(len(sheet.questions)),
            cut=team.cut,
        )
        return {"answers": answers}

    keys = [(model.digest, sheet.digest) for model, sheet in todo]
    found = team.units([f"task-{digest_value(list(key))[:16]}" for key in keys], work)
    return {**earlier, **{key: each["answers"] for key, each in zip(keys, found, strict=True)}}


def _load(params: Params, team: Team, model: Artifact) -> tuple[Any, Any]:
    from ...model.checkpoint import load_model
    from ...model.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(model.path)
    if not params.base_model and not tokenizer.chat_template:
        raise InputError(
            "this tokenizer has no chat template",
            where=model.name,
            how="Set `base_model: true`, or set `chat_template` where the tokenizer is made or imported.",
        )
    return load_model(model.path, dtype=params.dtype, device=team.device), tokenizer


def _earlier(sources: Sequence[Artifact]) -> dict[tuple[str, str], list[str]]:
    """Answers of earlier runs by the model's digest and the digest of what was asked."""
    found = {}
    for source in sources:
        file = source.path / ANSWERS
        if not file.is_file():
            raise InputError(f"there is no {ANSWERS} in this artifact", where=source.name)
        for line in lines_of(file):
            row = json.loads(line)
            found[row["model_digest"], row["prompt_digest"]] = row["answers"]
    return found


def _examined(
    params: Params, sheet: Sheet, model: Artifact, answers: list[str], outside: Outside
) -> tuple[Sheet, Result, Marked | None, list[str]]:
    task, marked, why = sheet.task, None, sheet.why_not
    if answers:
        marked = mark_task(task, params.profile, sheet.rows, answers, outside.metricx_of(task, model))
        mark = marked.entering(task.metric)
        if mark or marked.phenomena:
            return sheet, Result(task=task, mark=mark, phenomena=marked.phenomena if not mark else ()), marked, answers
        why = NO_SCORE[task.kind]
    mark = outside.mark(task, model)
    return sheet, Result(task=task, mark=mark, why_not="" if mark else why), marked, answers


def _write(
    params: Params,
    runtime: Runtime,
    models: Sequence[Artifact],
    found: Mapping[str, list[tuple[Sheet, Result, Marked | None, list[str]]]],
    sheets: Sequence[Sheet],
) -> dict[str, Any]:
    scores: list[Score] = []
    values: list[ItemValues] = []
    samples, written, table, coverage = [], [], {}, {}
    for model in models:
        cells = totals([result for _, result, _, _ in found[model.name]])
        table[model.name] = cells
        if not cells or cells[-1].value is None:
            raise RecipeError("nothing of the suite can be asked", where="evals.sea_helm", how=_reasons(cells))
        coverage[model.name] = [len(cells[-1].ran), len(cells[-1].ran) + len(cells[-1].not_run)]
        asked = digest_value([sheet.digest for sheet in sheets])
        for cell in cells:
            if cell.value is not None:  # the digest holds what of it was run: only equal parts are compared
                part = digest_value([asked, sorted(cell.ran)])
                scores.append(cell_score(params.profile, model.name, model.digest, cell, part))
        for sheet, result, marked, answers in found[model.name]:
            for mark in _told(result, marked):
                row = _score(params, model, sheet, mark)
                scores.append(row)
                if mark.values:
                    same = {name: getattr(row, name) for name in _ITEM_COLUMNS}
                    values.append(ItemValues(**same, values=list(mark.values)))
            if marked:
                samples += _samples(params, model, sheet, marked, answers)
                written.append(_answers_row(model, sheet, marked, answers))
    write_scores(runtime.out, scores, samples)
    shown = [Asked(_name(params, s.task), s.task.language, s.digest, s.ids, [], []) for s in sheets if s.questions]
    write_item_values(runtime.out, shown, values)
    digests = {model.name: model.digest for model in models}
    whole = ProfileTable(profile=params.profile, suite=params.suite, digests=digests, cells=table)
    write_profile_table(runtime.out, whole)
    write_jsonl(runtime.out / ANSWERS, written)
    return {"scores": len(scores), "models": len(models), "coverage": coverage}


def _reasons(cells: Sequence[Cell]) -> str:
    reasons = list(cells[-1].not_run.items())[:3] if cells else []
    return " ".join(f"{task}: {why}." for task, why in reasons)


def _name(params: Params, task: SeaTask) -> str:
    return f"{params.profile}_{task.name}"


def _told(result: Result, marked: Marked | None) -> list[Mark]:
    """What is written of a task: its official score and how many answers could not be read; where the score is
    missing, what there is."""
    others = list(marked.marks) if marked else []
    if result.mark:
        return [result.mark, *(mark for mark in others if mark.metric in ("null_rate", "chrf_score"))]
    return others


def _score(params: Params, model: Artifact, sheet: Sheet, mark: Mark) -> Score:
    return Score(
        model=model.name,
        model_digest=model.digest,
        task=_name(params, sheet.task),
        language=sheet.task.language,
        metric=mark.metric,
        value=mark.value,
        stderr=mark.stderr,
        n=mark.n,
        higher_is_better=mark.higher_is_better,
        prompt_digest=sheet.digest,
        revision=1,
    )


def _samples(params: Params, model: Artifact, sheet: Sheet, marked: Marked, answers: Sequence[str]) -> list[dict]:
    return [
        {
            "model": model.name,
            "task": _name(params, sheet.task),
            "language": sheet.task.language,
            "prompt": describe_prompt(sheet.questions[n]),
            "output": answers[n],
            "extracted": str(marked.read[n]),
            "expected": str(sheet.rows[n].get("label", "")),
        }
        for n in range(min(params.keep_samples, len(answers)))
    ]


def _answers_row(model: Artifact, sheet: Sheet, marked: Marked, answers: Sequence[str]) -> dict[str, Any]:
    return {
        "model": model.name,
        "model_digest": model.digest,
        "task": sheet.task.name,
        "language": sheet.task.language,
        "prompt_digest": sheet.digest,
        "ids": sheet.ids,
        "answers": list(answers),
        "read": [
            value if value is None or isinstance(value, bool | int | str) else str(value) for value in marked.read
        ],
    }
