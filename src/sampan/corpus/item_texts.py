"""The texts of evaluation items: of Sampan's items, and of tables of tests from outside, whatever their columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifacts.items import TEXTS, Item, read_items
from ..artifacts.tables import PACKED, read_rows, table_files
from ..core.errors import InputError
from ..lang.codes import known_language


@dataclass(frozen=True)
class ItemText:
    """One item: which test it is of, its name there, and its texts."""

    task: str
    name: str
    texts: tuple[str, ...]
    language: str = ""


def item_texts(path: Path, kind: str, fields: Sequence[str]) -> Iterator[ItemText]:
    """The items of an artifact of the kind `items`, or of a table or folder of tables from outside.

    A table's test is called like its file below `path`. InputError if a field in `fields` is in no row of a table.
    """
    if kind == "items":
        for item in read_items(path):
            language = known_language(item.language) or item.language
            yield ItemText(item.task, item.key, _texts(item), language)
        return
    for file in table_files(path):
        task = _task_name(file, path)
        found = False
        for number, (_, row) in enumerate(read_rows(file)):
            texts = tuple(text for field in fields for text in _at(row, field.split("."))) if fields else _all(row)
            found = found or bool(texts)
            yield ItemText(task, str(row.get("id", number)), texts)
        if fields and not found:
            raise InputError(f"no row has a text at {', '.join(fields)}", where=str(file), how="See `fields`.")


def _texts(item: Item) -> tuple[str, ...]:
    """What the item was made of where it says so, else its prompt and choices or answer."""
    if item.meta.get(TEXTS):
        return tuple(item.meta[TEXTS])
    prompt = [item.prompt] if isinstance(item.prompt, str) else [turn["content"] for turn in item.prompt]
    answers = item.choices or [item.answer]  # beside choices the answer is a number
    return tuple(filter(None, (*prompt, *answers)))


def _task_name(file: Path, path: Path) -> str:
    name = file.name if path.is_file() else str(file.relative_to(path))
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return str(Path(name).with_suffix(""))


def _all(value: Any) -> tuple[str, ...]:
    """Every text inside a value."""
    if isinstance(value, str):
        return (value,)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return tuple(text for each in inner for text in _all(each))


def _at(value: Any, steps: Sequence[str]) -> tuple[str, ...]:
    """The texts at a path of keys, list places and `*`; none where the path leads nowhere."""
    if not steps:
        return _all(value)
    step, *rest = steps
    if step == "*":
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    elif isinstance(value, dict):
        inner = [value[step]] if step in value else []
    else:
        inner = value[int(step) :][:1] if isinstance(value, list) and step.isdigit() else []
    return tuple(text for each in inner for text in _at(each, rest))
