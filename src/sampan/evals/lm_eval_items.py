"""Single documents of lm-eval's tasks: the texts that each was made of, and what it gave under each metric.

lm-eval's templates are code, so the texts are found from the other end: those of the document's own that stand in what
was asked or in the right answer. Values are kept where their mean is the score; others (an F1 of all answers, word
perplexity) have no items.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..artifacts.item_values import Asked, ItemValues, write_item_values
from ..artifacts.items import TEXTS, Item
from ..core.errors import InputError
from ..core.lines import lines_of, write_jsonl
from ..core.stage import Artifact

QUESTIONS = "questions.jsonl"
"""In an artifact of `evals.lm_eval`: task, language, id and texts of every document that was asked."""
Rows = Sequence[Mapping[str, Any]]
"""lm-eval's log of one task: a row for each document and filter."""


def metric_name(metric: str, filter_: str) -> str:
    """What a score calls a metric behind a filter of the answers."""
    return metric if filter_ == "none" else f"{filter_}:{metric}"


def of_scores(scores: Sequence[Mapping[str, Any]], logged: Mapping[str, Rows]) -> dict[str, list[dict[str, Any]]]:
    """{"questions", "asked", "values"} of one model's score rows, as JSON; `logged` are the rows of each task."""
    found: dict[str, list[dict[str, Any]]] = {"questions": [], "asked": [], "values": []}
    seen: set[str] = set()
    for score in scores:
        rows = logged.get(score["task"], ())
        if rows and score["task"] not in seen:
            seen.add(score["task"])
            texts = {str(row["doc_id"]): _texts(row) for row in rows}
            same = {name: score[name] for name in ("task", "language")}
            found["questions"] += [{**same, "id": name, "texts": each} for name, each in texts.items()]
            own = Asked(**same, prompt_digest=score["prompt_digest"], ids=list(texts), clusters=[], weights=[])
            found["asked"].append(asdict(own))
        if rows and (numbers := _values(score, rows)):
            same = {name: score[name] for name in ("task", "language", "metric", "prompt_digest", "revision")}
            found["values"].append({**same, "values": numbers})
    return found


class Items:
    """The documents of all tasks, which are the same for every model, and what they gave each."""

    def __init__(self) -> None:
        self._questions: dict[tuple[str, ...], dict[str, Any]] = {}
        self._asked: dict[tuple[str, ...], Asked] = {}
        self._values: list[ItemValues] = []

    def add(self, model: Artifact, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """One model's, as `of_scores` gives them."""
        for row in found["questions"]:
            self._questions.setdefault((row["task"], row["language"], row["id"]), dict(row))
        for row in found["asked"]:
            self._asked.setdefault((row["task"], row["language"], row["prompt_digest"]), Asked(**row))
        self._values += [ItemValues(model=model.name, model_digest=model.digest, **row) for row in found["values"]]

    def write(self, out: Path) -> None:
        write_jsonl(out / QUESTIONS, self._questions.values())
        write_item_values(out, self._asked.values(), self._values)


def read_questions(source: Artifact) -> Iterator[Item]:
    """The documents of an artifact of `evals.lm_eval` as items; they cannot be asked, only looked for and read."""
    path = source.path / QUESTIONS
    if not path.is_file():
        how = "Give scores of evals.lm_eval."
        raise InputError(f"there is no {QUESTIONS} in this artifact", where=source.name, how=how)
    for row in map(json.loads, lines_of(path)):
        text = "\n".join(row["texts"])
        meta = {TEXTS: row["texts"]}
        yield Item(row["id"], row["task"], "generate", row["language"], text, pattern=".", meta=meta)


def _values(score: Mapping[str, Any], rows: Rows) -> list[float] | None:
    """What each document gave, None where the score is no mean of that."""
    each: dict[Any, Any] = {}
    for row in rows:
        for metric in row["metrics"]:
            if metric_name(metric, row["filter"]) == score["metric"]:
                each[row["doc_id"]] = row[metric]
    numbers = [float(value) for value in each.values() if isinstance(value, int | float)]
    complete = numbers and len(numbers) == len({row["doc_id"] for row in rows})
    if not complete or not math.isclose(math.fsum(numbers) / len(numbers), score["value"], abs_tol=1e-9):
        return None
    return numbers


def _texts(row: Mapping[str, Any]) -> list[str]:
    """The document's texts that its question or answer shows, all of them where none is shown as it is. Up to three
    bytes (a letter, a number) are no text: they stand everywhere."""
    shown = "\0".join(str(part) for argument in row["arguments"] for part in argument) + f"\0{row['target']}"
    every = [text for text in dict.fromkeys(_strings(row["doc"])) if len(text.strip().encode()) > 3]
    return [text for text in every if text.strip() in shown] or every


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(inner)
