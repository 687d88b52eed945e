"""Examine models one after another, keeping each one's finished rows so that a kill costs at most one model."""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..artifacts.documents import Document
from ..artifacts.item_values import Asked, ItemValues, write_item_values
from ..artifacts.items import CLUSTER, Item
from ..artifacts.scores import Score, write_records, write_scores
from ..core.errors import RecipeError
from ..core.identity import digest_value
from ..core.lines import write_jsonl
from ..core.stage import Artifact, Inputs, Runtime
from .bits_per_byte import bits_per_byte
from .degeneration import is_empty, is_loop
from .domains import HELD_OUT, Part, parts
from .examinee import Checkpoint, Examinee
from .extraction import extract
from .generation import Outputs, Question, answer_all, sample_questions
from .groups import Group, clusters_of, code, describe_prompt, held_out, only_languages, own_items, thin
from .judging.asking import REPLIES
from .likelihood import multiple_choice, preference
from .marks import Mark
from .metrics import check_tools, measure
from .progress import parts_of_bar
from .records import Answered, records
from .served import served_models
from .suites import SUITES
from .task_items import task_groups, with_files
from .team import Progress, Team
from .workload import directions_of

if TYPE_CHECKING:
    from .run import Params

UNREADABLE = ("empty", "looping", "cut_off")
"""Counts of answers that a score must not be read without."""
BY_LIKELIHOOD = {"multiple_choice": multiple_choice, "preference": preference}


@dataclass(frozen=True)
class Exam:
    """Everything that every checkpoint is asked."""

    documents: dict[str, list[Document]]
    parts: list[Part]
    """Which of the documents have a score together."""
    groups: list[Group]
    samples: list[Question]
    absent: list[str] = field(default_factory=list)
    """Tasks of the suite without a file."""

    @property
    def by_likelihood(self) -> list[str]:
        """Tasks that are asked by how likely given words are."""
        asked = [group.task for group in self.groups if group.type in BY_LIKELIHOOD]
        return list(dict.fromkeys([*([HELD_OUT] if self.documents else []), *asked]))

    @property
    def size(self) -> int:
        """Documents, items and sample prompts, for the progress bar."""
        return sum(map(len, self.documents.values())) + sum(len(g.items) for g in self.groups) + len(self.samples)


def examine(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Ask all models, write scores and samples into `runtime.out`; returns counts and seconds per model."""
    import torch

    torch.set_num_threads(max(1, runtime.threads))
    exam = prepare(params, inputs)
    models = _models(params, inputs)
    served = served_models(params, inputs, runtime.state, exam.by_likelihood)
    local = list(dict.fromkeys(model.digest for model in models))
    digests = [*local, *(each.digest for each in served)]
    team, seconds = Team(runtime), {}

    def ask(number: int) -> Mapping[str, Any]:
        base, total = number * exam.size, exam.size * len(digests)
        runtime.progress(base, total, "questions")
        begun = time.monotonic()
        if number < len(local):
            model = next(model for model in models if model.digest == digests[number])
            name, examinee = model.name, Checkpoint(params, team, model)
        else:
            examinee = served[number - len(local)]
            name = examinee.name
        rows = _ask(params, examinee, digests[number], exam, parts_of_bar(runtime, base, total))
        del examinee
        gc.collect()
        seconds[name] = round(time.monotonic() - begun, 3)
        return rows

    units = [f"model-{digest_value(digest)[:16]}" for digest in digests]
    found = team.units(units[: len(local)], ask)
    found += team.units(units[len(local) :], lambda number: ask(len(local) + number), cuts=False)
    results = dict(zip(digests, found, strict=True))
    everyone = [(model.name, model.digest) for model in models] + [(each.name, each.digest) for each in served]
    scores = [Score(model=name, **row) for name, digest in everyone for row in results[digest]["scores"]]
    write_scores(runtime.out, scores, _rows("samples", everyone, results))
    write_item_values(runtime.out, _asked(exam), [ItemValues(**row) for row in _rows("values", everyone, results)])
    write_records(runtime.out, _rows("records", everyone, results))
    told = {each.name: results[each.digest] for each in served}
    if served:
        write_jsonl(runtime.out / REPLIES, [row for result in told.values() for row in result["replies"]])
    return {
        "scores": len(scores),
        "models": len(everyone),
        "documents": sum(map(len, exam.documents.values())),
        "items": sum(len(group.items) for group in exam.groups),
        "coverage": coverage(exam.groups),
        **({"suite_without_files": exam.absent} if params.suite else {}),
        "answers": _unreadable(scores),
        "without_chat_template": [name for name, digest in everyone if not results[digest]["chat_template"]],
        **{key: {name: result[key] for name, result in told.items()} for key in ("failed", "spent") if served},
        "model_seconds": seconds,
    }


def _models(params: Params, inputs: Inputs) -> list[Artifact]:
    """The checkpoints; RecipeError if two who are asked have one name."""
    models = inputs.many("models")
    names = [model.name for model in models]
    if twice := [name for name in params.answer_models if name in names]:
        raise RecipeError(f"two models are called '{twice[0]}'", where="answer_models", how="Rename one of them.")
    return models


def _rows(key: str, everyone: Sequence[tuple[str, str]], results: Mapping[str, Mapping]) -> Iterator[dict[str, Any]]:
    """Every model's rows of one kind, with its name."""
    return ({"model": name, **row} for name, digest in everyone for row in results[digest][key])


def prepare(params: Params, inputs: Inputs) -> Exam:
    """Gather and thin what is asked; RecipeError if there is nothing or a task would be asked twice, InputError if the
    tools of a metric are not installed."""
    groups = own_items(inputs.many("items"))
    data = inputs.optional("data")
    absent: list[str] = []
    if data is not None:
        own, folder = {group.task for group in groups}, data.path / params.data_folder
        suite = SUITES.get(params.suite, ())
        here = with_files(suite, folder)
        absent = [name for name in suite if name not in here]
        tasks = list(dict.fromkeys([*params.tasks, *here]))
        groups += task_groups(tasks, folder, chat=params.prompt_style == "chat", directions=directions_of(params))
        if twice := sorted(own & set(tasks)):
            raise RecipeError(f"'{twice[0]}' is a bundled task and a task of the items", where="evals.run")
    languages = [code(language) for language in params.languages]
    documents = held_out(inputs.many("held_out"), languages, params.max_documents, params.seed)
    known = {group.language for group in groups} | set(documents)
    groups = only_languages(groups, languages, known)
    for group in groups:
        check_tools(group.metrics)
        group.items = thin(group.items, params.max_items, params.seed)
    if not groups and not documents:
        raise RecipeError(
            "there is nothing to ask in what is given",
            where="evals.run",
            how="`data` has none of the files of `suite`, or `items` and `held_out` are empty.",
        )
    samples = sample_questions(groups, documents, params.sample_prompts, params.seed)
    return Exam(documents, parts(documents, params.max_domains), groups, samples, absent)


def _ask(
    params: Params, examinee: Examinee, digest: str, exam: Exam, part: Callable[[int], Progress]
) -> dict[str, Any]:
    """Score rows (without the model's name) and sample rows of one model, whose digest is `digest`."""
    rows: list[dict[str, Any]] = []
    values: list[dict[str, Any]] = []

    def add(task: str, language: str, revision: int, prompt_digest: str, marks: Sequence[Mark], **counts: int) -> None:
        for mark in marks:
            fixed = {"task": task, "language": language, "prompt_digest": prompt_digest, "revision": revision}
            told = asdict(mark)
            each = told.pop("values")
            told.pop("weights")
            told.pop("alone")
            rows.append({**fixed, **told, **counts, "model_digest": digest})
            values.append({**fixed, "metric": mark.metric, "model_digest": digest, "values": each})

    for language, documents in exam.documents.items():
        texts = [document.text for document in documents]
        bits = examinee.bits(texts, part(len(texts)))
        for each in (each for each in exam.parts if each.language == language):
            own = [texts[place] for place in each.places]
            mark = bits_per_byte([bits[place] for place in each.places], [len(text.encode()) for text in own])
            add(each.task, language, 1, digest_value(own), [replace(mark, metric=each.metric)])
    kept: list[dict[str, Any]] = []
    for group in exam.groups:
        if group.type in BY_LIKELIHOOD:
            score = functools.partial(examinee.likelihoods, progress=part(len(group.items)))
            found = BY_LIKELIHOOD[group.type](score, examinee.tokenizer, group.items)
            add(group.task, group.language, group.revision, group.prompt_digest, found.marks, left_out=group.left_out)
            kept += records(group, found, params.keep_items, params.seed)
    written = [group for group in exam.groups if group.type == "generate"]
    questions = [*(Question.of(group, item) for group in written for item in group.items), *exam.samples]
    outputs = answer_all(examinee, questions, part(len(questions)))
    for group in written:
        found, counts = _written(params, group, outputs)
        counts["left_out"] = group.left_out
        add(group.task, group.language, group.revision, group.prompt_digest, found.marks, **counts)
        kept += records(group, found, params.keep_items, params.seed)
    chats = any(not isinstance(item.prompt, str) for group in exam.groups for item in group.items)
    told = {"chat_template": examinee.chats or not chats, **examinee.told()}
    return {"scores": rows, "samples": _samples(exam, outputs), "values": values, "records": kept, **told}


def _samples(exam: Exam, outputs: Outputs) -> list[dict[str, Any]]:
    """One model's answers to the prompts that are read side by side."""
    return [
        {
            "task": question.task,
            "language": question.language,
            "prompt": describe_prompt(question.prompt),
            "output": outputs.text(question),
            "expected": question.expected,
        }
        for question in exam.samples
    ]


def _written(params: Params, group: Group, outputs: Outputs) -> tuple[Answered, dict[str, int]]:
    """What one model wrote to a group's items, marked; and how many of its answers are no text or unfinished."""
    texts = [outputs.answer(item) for item in group.items]
    metrics = list(dict.fromkeys([*group.metrics, *params.more_metrics]))
    marks = measure(metrics, group.items, texts)
    read = [extract(metrics, item, text) for item, text in zip(group.items, texts, strict=True)]
    counts = {
        "empty": sum(map(is_empty, texts)),
        "looping": sum(map(is_loop, texts)),
        "cut_off": sum(map(outputs.is_cut_off, group.items)),
    }
    return Answered(marks, texts, read), counts


def coverage(groups: Sequence[Group]) -> dict[str, dict[str, Any]]:
    """By task: items asked, rows left out because they cannot be, and languages whose files are not there."""
    found: dict[str, dict[str, Any]] = {}
    for group in groups:
        row = found.setdefault(group.task, {"asked": {}, "left_out": {}, "languages_without_file": group.absent})
        row["asked"][group.language] = len(group.items)
        if group.left_out:
            row["left_out"][group.language] = group.left_out
    return found


def _unreadable(scores: Sequence[Score]) -> dict[str, dict[str, dict[str, int]]]:
    """By model and task/language: the counts of empty, looping and cut-off answers that are not zero."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for score in scores:
        if counts := {name: count for name in UNREADABLE if (count := getattr(score, name))}:
            found.setdefault(score.model, {})[f"{score.task}/{score.language}"] = counts
    return found


def _asked(exam: Exam) -> list[Asked]:
    """Ids, clusters and weights behind each score's values."""
    rows = []
    for part in exam.parts:
        documents = [exam.documents[part.language][place] for place in part.places]
        texts = [document.text for document in documents]
        ids = [digest_value(text)[:16] for text in texts]
        sizes = [len(text.encode()) for text in texts]
        rows.append(Asked(part.task, part.language, digest_value(texts), ids, _clusters(documents), sizes))
    for group in exam.groups:
        ids = [item.key for item in group.items]
        rows.append(Asked(group.task, group.language, group.prompt_digest, ids, _clusters(group.items), []))
    return rows


def _clusters(items: Sequence[Item | Document]) -> list[str]:
    """The clusters of items or documents; none if not one of them names its own."""
    return clusters_of(items) if any(CLUSTER in item.meta for item in items) else []
