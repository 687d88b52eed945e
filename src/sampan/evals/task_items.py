"""Rows of a published test, as its task file says, into Items."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifacts.items import CLUSTER, TEXTS, Item
from ..artifacts.tables import PACKED, read_rows
from ..core.errors import InputError
from ..core.identity import digest_value
from .groups import Group, check_item
from .options import shuffled
from .task_examples import Examples
from .task_file import FOLDER, Language, MissingValue, Task, fields, fill, listed, load_task, pairs, walk
from .task_options import Options, WrongKey, row_options

_FORMATS = (".jsonl", ".json", ".parquet")
_GIVEN = ("words", "source", "row_number", "option_lines", "right_letter")
"""What templates can name that is not the row's."""


@dataclass(frozen=True)
class Asking:
    """How one language of a task is asked."""

    task: Task
    code: str
    language: Language
    source: str
    chat: bool
    texts: bool
    examples: Examples


def task_groups(
    names: Sequence[str],
    data: Path,
    *,
    chat: bool = False,
    texts: bool = False,
    directions: str = "all",
    folder: Path = FOLDER,
) -> list[Group]:
    """Groups of the tasks `names`, one per language whose file is in the folder `data` (and per part).

    `chat` puts every question into a user's turn; `texts` keeps in an item's meta the texts of its row; `directions` is
    as in `task_file.pairs`. InputError if none of a task's files is there.
    """
    groups: list[Group] = []
    for name in dict.fromkeys(names):
        task = load_task(name, folder)
        found = {code: files for code in sorted(task.languages) if (files := _files(data, task.language(code).file))}
        absent = sorted(task.languages.keys() - found.keys())
        if not found:
            wanted = ", ".join(task.language(code).file for code in absent)
            raise InputError(
                f"none of the files of task '{name}' is in this folder ({wanted})",
                where=str(data),
                how=f"Get them from {task.source} ({task.license}) or leave the task out.",
            )
        for source, code in pairs(task, list(found), directions):
            language = task.language(code)
            asking = Asking(task, code, language, source, chat, texts, _examples(task, language, data))
            for group in _groups(asking, found[code], data):
                group.absent = absent
                groups.append(group)
    return groups


def with_files(names: Sequence[str], data: Path, folder: Path = FOLDER) -> list[str]:
    """Those of the tasks `names` of which at least one file is in the folder `data`."""
    tasks = [load_task(name, folder) for name in names]
    return [task.name for task in tasks if any(_files(data, task.language(code).file) for code in task.languages)]


def _groups(asking: Asking, files: Sequence[Path], data: Path) -> list[Group]:
    """The groups of one language: one, or one for each part."""
    task, code, source = asking.task, asking.code, asking.source
    groups: dict[str, Group] = {}
    left_out = 0
    for item in _items(asking, files, data):
        if item is None:
            left_out += 1
            continue
        new = Group(item.task, code, task.type, task.revision, source=source)
        groups.setdefault(item.task, new).items.append(item)
    if not groups:
        raise InputError(
            f"no row of task '{task.name}' can be asked ({left_out} have an empty field or a key that names no option)",
            where=f"{data}/{asking.language.file}",
        )
    next(iter(groups.values())).left_out = left_out
    return list(groups.values())


def _files(data: Path, wanted: str) -> list[Path]:
    """The files that a task file calls `wanted`: as they are, packed, or in another table format."""
    stem, dot, last = wanted.rpartition(".")
    names = [wanted, *(f"{stem}{ending}" for ending in _FORMATS if ending != f".{last}" and dot)]
    for name in [name + packed for name in names for packed in ("", *PACKED)]:
        found = sorted(path for path in data.glob(name) if path.is_file())
        if found:
            return found
    return []


def _examples(task: Task, language: Language, data: Path) -> Examples:
    """The solved examples of one language; InputError where their file is not there."""
    if not task.examples:
        return Examples(task, language, [])
    files = _files(data, language.examples)
    if not files:
        raise InputError(
            f"the examples of task '{task.name}' are not in this folder ({language.examples})", where=str(data)
        )
    return Examples(task, language, [found for file in files for found in read_rows(file)])


def _items(asking: Asking, files: Sequence[Path], data: Path) -> Iterator[Item | None]:
    """One item per row, None for a row with a null field or a key that names none of its options."""
    task, source = asking.task, asking.source
    asked = {"source": task.language(source).words} if source else {}
    columns = {"text": asking.language.column, "source_text": task.language(source).column if source else ""}
    rows = ((file, place, row) for file in files for place, row in read_rows(file))
    for number, (file, place, row) in enumerate(rows):
        where = f"task {task.name}, {file.relative_to(data)}{place.removeprefix(str(file))}"
        given = {"row_number": number, **row, **asked}
        try:
            for name, column in columns.items():
                if column:
                    given[name] = fill(f"{{{column}}}", row, {}, where=where)
            item = _item(asking, given, where)
        except (MissingValue, WrongKey):
            yield None
            continue
        check_item(item)
        yield item


def _item(asking: Asking, row: dict[str, Any], where: str) -> Item:
    task, words = asking.task, asking.language.words

    def text(template: str) -> str:
        return fill(template, row, words, where=where)

    name = text(task.id)
    options = row_options(task, asking.language, row, name, where)
    if options:
        row |= {"option_lines": "\n".join(options.lines), "right_letter": options.answer}
    answer = options.answer if options else _answer(task, text(task.answer).strip(), where)
    choices = [text(choice) for choice in task.choices]
    if choices and task.shuffle_seed is not None:
        choices, place = shuffled(choices, int(answer), seed=task.shuffle_seed, key=name)
        answer = str(place)
    prompt = text(_one_of(task.instructions, name)) + asking.examples.before(row, where) + text(task.prompt)
    chat = asking.chat and bool(prompt)
    return Item(
        id=name,
        task=_task_name(asking, text(task.part)),
        type=task.type,
        language=asking.code,
        prompt=[{"role": "user", "content": prompt}] if chat else prompt,
        choices=[choice.strip() for choice in choices] if chat else choices,
        answer=answer,
        meta=_meta(asking, row, options, where),
    )


def _one_of(templates: Sequence[str], name: str) -> str:
    """The template that a row's id draws, '' of none."""
    return min(templates, key=lambda each: digest_value([name, each])) if templates else ""


def _task_name(asking: Asking, part: str) -> str:
    name = f"{asking.task.name}_from_{asking.source}" if asking.source else asking.task.name
    return f"{name}_{re.sub('[^a-z0-9]+', '_', part.lower())}" if part else name


def _answer(task: Task, answer: str, where: str) -> str:
    if task.answers and answer not in task.answers:
        raise InputError(
            f"the answer '{answer}' is none of {', '.join(sorted(task.answers))}",
            where=where,
            how="The file has another format than the task file says.",
        )
    return task.answers.get(answer, answer)


def _meta(asking: Asking, row: dict[str, Any], options: Options | None, where: str) -> dict[str, Any]:
    task = asking.task

    def text(template: str) -> str:
        return fill(template, row, asking.language.words, where=where)

    meta: dict[str, Any] = {}
    if task.type == "generate":
        stops = [] if asking.chat else [text(stop) for stop in task.stop]  # a turn ends by itself
        meta = {"match": task.match, "stop": stops, "max_new_tokens": task.max_new_tokens}
    if task.metrics:
        meta["metrics"] = task.metrics
    if options:
        meta["marks"] = options.marks
    if task.references:
        meta["references"] = listed(task.references, row, where=where)
    if task.cluster:
        meta[CLUSTER] = digest_value(text(task.cluster))[:12]
    for column in task.keep:
        if column not in row:
            raise InputError(f"the row has no '{column}'", where=where)
        meta[column] = row[column]
    if asking.texts:
        meta[TEXTS] = _texts(task, row, options, where)
    return meta


def _texts(task: Task, row: Mapping[str, Any], options: Options | None, where: str) -> list[str]:
    """The texts of the row that its question and answer are made of, each once and whole."""
    found = list(options.texts) if options else []
    for template in (task.prompt, *task.choices, *([] if task.answers or task.options else [task.answer])):
        for path, _ in fields(template):
            if path.partition(".")[0] not in _GIVEN:
                value = walk(path, row, where)
                found += value if isinstance(value, list) else [value]
    return list(dict.fromkeys(text for text in found if isinstance(text, str) and text.strip()))
