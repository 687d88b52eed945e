"""Rows of a published test, as its task file says, into Items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..artifacts.items import Item
from ..artifacts.tables import PACKED, read_rows
from ..core.errors import InputError
from ..core.identity import digest_value
from .groups import CLUSTER, Group, check_item
from .task_file import FOLDER, Language, MissingValue, Task, fill, listed, load_task


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
        sources = [source for source in task.sources if source in found] if task.sources else [""]
        pairs = [(source, code, file) for source in sources for code, file in found.items() if source != code]
        for source, code, file in pairs:
            group = Group(task.name, code, task.type, task.revision)
            if source:
                group.task, group.source = f"{task.name}_from_{source}", source
            for item in _items(task, code, file, data, chat, source):
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


def _items(task: Task, code: str, file: Path, data: Path, chat: bool, source: str) -> Iterator[Item | None]:
    """One item per row, None for a row with a null field."""
    language = task.language(code)
    asked = {"source": task.language(source).words} if source else {}
    columns = {"text": language.column, "source_text": task.language(source).column if source else ""}
    for number, (place, row) in enumerate(read_rows(file)):
        where = f"task {task.name}, {file.relative_to(data)}{place.removeprefix(str(file))}"
        given = {"row_number": number, **row, **asked}
        try:
            for name, column in columns.items():
                if column:
                    given[name] = fill(f"{{{column}}}", row, {}, where=where)
            item = _item(task, code, given, language.words, where, chat)
            item.task = f"{task.name}_from_{source}" if source else task.name
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
    meta: dict[str, Any] = {}
    if task.type == "generate":
        stops = [] if chat else [text(stop) for stop in task.stop]  # a turn ends by itself
        meta = {"match": task.match, "stop": stops}
    if task.metrics:
        meta["metrics"] = task.metrics
    if task.references:
        meta["references"] = listed(task.references, row, where=where)
    if task.cluster:
        meta[CLUSTER] = digest_value(text(task.cluster))[:12]
    for column in task.keep:
        if column not in row:
            raise InputError(f"the row has no '{column}'", where=where)
        meta[column] = row[column]
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
