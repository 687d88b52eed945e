"""Solved examples before a question, as a task file says: the first ones of the same subject, level or the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .task_file import Language, MissingValue, Task, fill
from .task_options import WrongKey, row_options


class Examples:
    """The solved examples of one language of a task, rendered once."""

    def __init__(self, task: Task, language: Language, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """`rows` are (place, row); one that cannot be asked is passed over."""
        self._task, self._language = task, language
        self._by_kind: dict[str, list[str]] = {}
        for number, (place, row) in enumerate(rows):
            where = f"task {task.name}, example at {place}"
            try:
                text = self._solved(dict(row), f"example {number}", where)
            except (MissingValue, WrongKey):
                continue
            kind = fill(task.examples_like, row, language.words, where=where)
            self._by_kind.setdefault(kind, []).append(text)

    def before(self, row: Mapping[str, Any], where: str) -> str:
        """What stands before the question of `row`, '' for a task without examples."""
        if not self._task.examples:
            return ""
        kind = fill(self._task.examples_like, row, self._language.words, where=where)
        return "".join(f"{text}\n\n" for text in self._by_kind.get(kind, [])[: self._task.examples])

    def _solved(self, row: dict[str, Any], name: str, where: str) -> str:
        task, words = self._task, self._language.words
        options = row_options(task, self._language, row, name, where)
        if options:
            row |= {"option_lines": "\n".join(options.lines), "right_letter": options.answer}
        return fill(task.prompt, row, words, where=where) + fill(task.examples_answer, row, words, where=where)
