"""Rows of a published test, as its task file says, into Items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..artifacts.items import Item
from ..artifacts.tables import PACKED, read_rows
from ..core.errors import InputError
from .groups import Group, check_item
from .task_file import FOLDER, Language, MissingValue, Task, fill, load_task


def task_groups(names: list[str], data: Path, *, chat: bool = False, folder: Path = FOLDER) -> list[Group]:
    """Groups of the tasks `names`, one per language whose file is in the folder `data`.

    `chat` puts every question into a user's turn. InputError if none of a task's files is there.
    """
    groups = []
    for name in dict.fromkeys(names):
        task = load_task(name, folder)
        found = {code: file for code in sorted(task.languages) if (file := _file(data, task.language(code)))}
        if not found:
            wanted = ", ".join(task.language(code).file for code in sorted(task.languages))
            raise InputError(
                f"none of the files of task '{name}' is in this folder ({wanted})",
                where=str(data),
                how=f"Get them from {task.source} ({task.license}) or leave the task out.",
            )
        for code, file in found.items():
            group = Group(task.name, code, task.type, task.revision)
            for item in _items(task, code, file, data, chat):
                if item is None:
                    group.left_out += 1
                else:
                    group.items.append(item)
            if not group.items:
                raise InputError(f"no row of task '{name}' can be asked", where=f"{data}/{task.language(code).file}")
            groups.append(group)
    return groups


def _file(data: Path, language: Language) -> Path | None:
    names = [language.file, *(language.file + suffix for suffix in PACKED)]
    return next((data / name for name in names if (data / name).is_file()), None)


def _items(task: Task, code: str, file: Path, data: Path, chat: bool) -> Iterator[Item | None]:
    """One item per row, None for a row with a null field."""
    words = task.language(code).words
    for number, (place, row) in enumerate(read_rows(file)):
        where = f"task {task.name}, {file.relative_to(data)}{place.removeprefix(str(file))}"
        try:
            item = _item(task, code, {"row_number": number, **row}, words, where, chat)
        except MissingValue:
            yield None
            continue
        check_item(item)
        yield item


def _item(task: Task, code: str, row: dict[str, Any], words: Mapping[str, str], where: str, chat: bool) -> Item:
    def text(template: str) -> str:
        return fill(template, row, words, where=where)

    answer = text(task.answer).strip()
    if task.answers:
        if answer not in task.answers:
            raise InputError(
                f"the answer '{answer}' is none of {', '.join(sorted(task.answers))}",
                where=where,
                how="The file has another format than the task file says.",
            )
        answer = task.answers[answer]
    prompt, choices = text(task.prompt), [text(choice) for choice in task.choices]
    meta = {}
    if task.type == "generate":
        stops = [] if chat else [text(stop) for stop in task.stop]  # a turn ends by itself
        meta = {"match": task.match, "stop": stops}
    return Item(
        id=text(task.id),
        task=task.name,
        type=task.type,
        language=code,
        prompt=[{"role": "user", "content": prompt}] if chat else prompt,
        choices=[choice.strip() for choice in choices] if chat else choices,
        answer=answer,
        meta=meta,
    )
