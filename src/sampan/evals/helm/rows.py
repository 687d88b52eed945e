"""Rows of a SEA-HELM task: from the repository where they lie in it, else from a folder with copies of its data sets.

Version 1.2 keeps most rows in data sets on the Hugging Face hub (`aisingapore/NLU-Sentiment-Analysis`), behind terms
that the user accepts. A copy is looked for as DATA/aisingapore/NLU-Sentiment-Analysis or DATA/NLU-Sentiment-Analysis.
Which of its files holds which language and split is read from the head of its README.md, or else from paths such as
`id/eval-00000-of-00001.parquet`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ...artifacts.tables import PACKED, SUFFIXES, read_rows
from ...core.errors import InputError
from .tasks import SeaTask

_PAIRS = {
    "translation-en-xx": "en_to_{}",
    "translation-xx-en": "{}_to_en",
    "translation-id-xx": "id_to_{}",
    "translation-xx-id": "{}_to_id",
    "pragmatic-single": "{}_single",
    "pragmatic-pair": "{}_pair",
}
"""What a data set calls the part of a task, where that is not the language alone."""
_THAI_EXAM = "thai_exam_"
_HEAD = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


def eval_rows(task: SeaTask, repository: Path, data: Path | None) -> list[dict[str, Any]] | None:
    """The rows that are asked; None if they are not here. InputError for rows without what the task reads."""
    return _rows(task, task.rows, repository, data, "test" if task.name.startswith(_THAI_EXAM) else "eval")


def example_rows(task: SeaTask, repository: Path, data: Path | None) -> list[dict[str, Any]] | None:
    """The solved examples; [] if the task has none, None if they are not here. The first of several answers counts."""
    if not task.examples:
        return []
    rows = _rows(task, task.examples, repository, data, "test" if task.name.startswith(_THAI_EXAM) else "examples")
    for row in rows or []:
        if isinstance(row.get("label"), list):
            row["label"] = row["label"][0]
    return rows


def _rows(task: SeaTask, named: str, repository: Path, data: Path | None, split: str) -> list[dict[str, Any]] | None:
    local = repository / named
    if local.is_file() and local.resolve().is_relative_to(repository.resolve()):
        files = [local]
    else:
        files = _hub_files(named, _part(task), split, data) if data else []
    if not files:
        return None
    rows = [row for file in files for _, row in read_rows(file)]
    if task.name.startswith(_THAI_EXAM):
        rows = [_exam_row(row) for row in rows]
    for number, row in enumerate(rows):
        prompts = row.get("prompts")
        if not (isinstance(prompts, list) and prompts and all(isinstance(turn, dict) for turn in prompts)):
            raise InputError("the row has no `prompts`", where=f"{files[0].name}, row {number}, task {task.name}")
        if task.kind not in ("", "instruction"):
            if task.label not in row:
                raise InputError(
                    f"the row has no `{task.label}`", where=f"{files[0].name}, row {number}, task {task.name}"
                )
            row["label"] = row[task.label]
    return rows


def _part(task: SeaTask) -> str:
    if task.name.startswith(_THAI_EXAM):
        return task.name.removesuffix("-logprobs").removeprefix(_THAI_EXAM)
    return _PAIRS.get(task.name.removesuffix("-logprobs"), "{}").format(task.code)


def _exam_row(row: dict[str, Any]) -> dict[str, Any]:
    """ThaiExam's own columns as SEA-HELM's."""
    try:
        asked = {"question": row["question"], **{letter: row[letter] for letter in "abcde" if letter in row}}
        return {"label": row["answer"].upper(), "prompts": [asked]}
    except KeyError as error:
        raise InputError(f"a row of ThaiExam has no {error}") from None


def _hub_files(named: str, part: str, split: str, data: Path) -> list[Path]:
    """Files of one part and split of a data set's copy, in the order of their names."""
    folder = next((f for f in (data / named, data / named.rpartition("/")[2]) if f.is_dir()), None)
    if folder is None:
        return []
    said = list(_said_files(folder, part, split))
    if said:
        return said
    return [
        file
        for file in sorted(folder.rglob("*"))
        if _is_table(file) and part in file.relative_to(folder).parts[:-1] and file.name.startswith(split)
    ]


def _said_files(folder: Path, part: str, split: str) -> Iterator[Path]:
    """What the head of README.md says: configs with a name and data_files by split."""
    readme = folder / "README.md"
    head = _HEAD.match(readme.read_text(encoding="utf-8")) if readme.is_file() else None
    try:
        configs = (yaml.safe_load(head[1]) or {}).get("configs") or [] if head else []
    except (yaml.YAMLError, AttributeError):
        configs = []
    for config in configs:
        if config.get("config_name") == part:
            for entry in config.get("data_files") or []:
                if isinstance(entry, dict) and entry.get("split") == split:
                    paths = entry["path"] if isinstance(entry["path"], list) else [entry["path"]]
                    for pattern in paths:
                        yield from (f for f in sorted(folder.glob(pattern)) if _is_table(f))


def _is_table(file: Path) -> bool:
    name = next((file.name.removesuffix(end) for end in PACKED if file.name.endswith(end)), file.name)
    return file.is_file() and name.endswith(SUFFIXES)
