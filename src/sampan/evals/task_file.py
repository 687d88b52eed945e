"""Task files: one YAML per published test says how its rows become questions. Being in the folder is registering.

A template holds `{path}` fields: a column of the row (`{question}`, `{prompts.0.text}`) or one of the language's own
words (`{words.answer}`); `{row_number}` counts from 0. `{path|filter|…}` changes the value on the way; FILTERS lists
what there is. A task with `options` has two more: `{option_lines}`, one option a line, and `{right_letter}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

import yaml

from ..core.errors import InputError, RecipeError, did_you_mean
from ..core.params import params, parse_params
from .mathematics import boxed

ENGLISH = "eng_Latn"
FOLDER = Path(__file__).parent / "tasks"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FIELD = re.compile(r"\{([^{}\n]+)\}")
_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
METRIC_NAMES = (
    "exact_match", "number", "latex", "m3exam_option", "seaexam_option", "vmlu_option", "chrf", "rouge_l", "span",
    "refusal_rate", "refusal_f1", "degeneration", "wrong_language", "ifeval", "ifeval_reference",
)  # fmt: skip
"""The keys of evals.metrics.METRICS, here so that reading a task file loads no metric."""
_FINAL_MARKS = ".。．।။។!?！？…"


@params
class Language:
    """How one language asks."""

    file: str
    """The rows' file below the data folder, `*` for several; with `.gz` or `.zst` added, or in another table format
    (.json, .parquet), if only that exists."""
    examples: str = ""
    """The file of the solved examples, found in the same way."""
    column: str = ""
    """The row's column with this language's text, in files that hold all languages; templates call it `{text}`."""
    words: dict[str, str] = field(default_factory=dict)
    """Native words for the templates: `{words.NAME}`, or `{column|word}` for the word named by a column."""


@params
class Task:
    """A task file, validated."""

    name: str
    """What `tasks` calls it: the file's name."""
    revision: int
    """Raised in the commit that changes a question or its marking."""
    type: Literal["multiple_choice", "generate"]
    """How it is asked."""
    summary: str
    """One sentence."""
    paper: str
    """Where the test comes from, and whose phrasing the prompt is."""
    source: str
    """Where to get the files."""
    license: str
    """Licence of the data."""
    prompt: str
    """Template of the question."""
    answer: str = ""
    """Template of the right answer: looked up in `answers` if that is given."""
    answers: dict[str, str] = field(default_factory=dict)
    """From what the rows say to the index of the right choice."""
    instructions: list[str] = field(default_factory=list)
    """Templates of what stands before examples and question; of several, the hash of a row's id chooses one."""
    examples: int = 0
    """Solved examples before each question, the first ones of the language's `examples` file."""
    examples_like: str = ""
    """Template that an example and the question must have the same of, such as their subject; '' takes any."""
    examples_answer: str = ""
    """Template of the answer that follows an example's prompt."""
    options: str = ""
    """Path of the list of options of a `generate` task: the answer is then the mark of the right one, `answer` its mark
    in the row or its index from 0."""
    letters: str = ""
    """Template of the letters that options get, such as ABCDE; '' leaves them the marks that they carry."""
    shuffle_seed: int | None = None
    """Shuffles options or choices, each row's in an order of its own that is the same for every model."""
    part: str = ""
    """Template by which the task is parted: each value has a score of its own, as a task NAME_VALUE."""
    choices: list[str] = field(default_factory=list)
    """Templates of the choices, each beginning with the blank that parts it from the prompt, if any."""
    match: Literal["exact", "number"] = "exact"
    """How a `generate` answer is compared by exact match."""
    metrics: list[str] = field(default_factory=list)
    """Names from evals/metrics.py by which `generate` answers are marked; empty = exact match."""
    references: str = ""
    """Path to the texts that an answer may equal, `*` standing for every member of a list (`answers.*.text`)."""
    cluster: str = ""
    """Template of what items share, such as their passage; errors are then clustered by it."""
    sources: list[str] = field(default_factory=list)
    """Translation: ask once from each of these languages into every other, as a task NAME_from_CODE. Templates call the
    source's text `{source_text}` and its words `{source.WORD}`."""
    keep: list[str] = field(default_factory=list)
    """Columns that a metric reads, kept in the item as they are."""
    stop: list[str] = field(default_factory=list)
    """Templates of the texts that end a `generate` answer, such as the next question."""
    max_new_tokens: int = 64
    """Longest `generate` answer in tokens, enough for an answer that is worked out where the task wants one."""
    id: str = "{id}"
    """Template of a row's id; equal in all languages where rows are parallel."""
    languages: dict[str, Any]
    """File and words by language code."""

    def language(self, code: str) -> Language:
        return parse_params(Language, self.languages[code], where=f"task file {self.name}.yaml, languages.{code}")


def task_names(folder: Path = FOLDER) -> list[str]:
    """Names of the task files in `folder`."""
    return sorted(file.stem for file in folder.glob("*.yaml"))


def load_task(name: str, folder: Path = FOLDER) -> Task:
    """The task called `name`; RecipeError with the nearest name, or with what is wrong in its file."""
    if name not in task_names(folder):
        raise RecipeError(f"there is no task '{name}'", where="tasks", how=did_you_mean(name, task_names(folder)))
    where = f"task file {name}.yaml"
    try:
        given = yaml.load((folder / f"{name}.yaml").read_text(encoding="utf-8"), _LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise RecipeError(f"not YAML ({getattr(error, 'problem', error)})", where=f"{where}{line}") from None
    if not isinstance(given, dict):
        raise RecipeError("a task file holds a mapping", where=where)
    task = parse_params(Task, given, where=where)
    _check(task, name, where)
    return task


def pairs(task: Task, codes: Sequence[str], directions: str) -> list[tuple[str, str]]:
    """(source, language) of all that the task asks in the languages `codes`, the source '' where nothing is translated.

    Of translations those from and into English, or with `directions` = `all` those between any two.
    """
    if not task.sources:
        return [("", code) for code in codes]
    found = [(source, code) for source in task.sources if source in codes for code in codes if source != code]
    return [pair for pair in found if directions == "all" or ENGLISH in pair]


def _check(task: Task, name: str, where: str) -> None:
    if task.name != name:
        raise RecipeError(
            f"its name is '{task.name}'", where=where, how=f"Write `name: {name}`, as the file is called."
        )
    if task.type == "multiple_choice" and len(task.choices) < 2:
        raise RecipeError("a multiple_choice task needs at least two `choices`", where=where)
    if task.type == "generate" and task.choices:
        raise RecipeError("a generate task has no `choices`", where=where)
    if task.options and task.type != "generate":
        raise RecipeError("`options` belong to a generate task; a multiple_choice task has `choices`", where=where)
    if task.examples and not task.examples_answer:
        raise RecipeError("`examples` need `examples_answer`", where=where)
    if not task.answer and not task.metrics:
        raise RecipeError("a task needs an `answer`, or `metrics` that need none", where=where)
    for metric in task.metrics:
        if metric not in METRIC_NAMES:
            raise RecipeError(f"there is no metric '{metric}'", where=where, how=did_you_mean(metric, METRIC_NAMES))
    for source in task.sources:
        if source not in task.languages:
            raise RecipeError(f"the source '{source}' is none of the languages", where=where)
    if task.max_new_tokens < 1:
        raise RecipeError("max_new_tokens must be 1 or more", where=where)
    if not task.languages:
        raise RecipeError("a task needs at least one language", where=where)
    words: set[str] | None = None
    for code in task.languages:
        if not _CODE.fullmatch(code):
            raise RecipeError(f"'{code}' is not a language code like tha_Thai", where=where)
        has = set(task.language(code).words)
        words = has if words is None else words
        if has != words:
            odd = ", ".join(sorted(has ^ words))
            raise RecipeError(f"the languages do not all have the same words ({odd})", where=f"{where}, {code}")
    ends = (task.letters, task.part, task.examples_like, task.examples_answer, *task.instructions)
    for template in (task.prompt, task.answer, task.id, task.cluster, *task.choices, *task.stop, *ends):
        for path, filters in fields(template):
            for step in filters:
                if step.partition("=")[0] not in FILTERS:
                    raise RecipeError(f"there is no filter '{step}'", where=where, how=did_you_mean(step, FILTERS))
            if path.startswith("words.") and path[len("words.") :] not in (words or ()):
                raise RecipeError(
                    f"no language has the word '{path}'", where=where, how=did_you_mean(path[6:], words or ())
                )


def listed(path: str, row: Mapping[str, Any], *, where: str) -> list[str]:
    """All texts that a path with `*` leads to, each once."""
    before, star, after = path.partition(".*.")
    if not star:
        before, _, last = path.rpartition(".*")
        here = walk(before, row, where) if before else walk(last, row, where)
        return list(dict.fromkeys(map(str, here if isinstance(here, list) else [here])))
    members = walk(before, row, where)
    return list(dict.fromkeys(text for member in members for text in listed(after, member, where=where)))


def fields(template: str) -> list[tuple[str, list[str]]]:
    """(path, filters) of every field of a template."""
    found = [inner.split("|") for inner in _FIELD.findall(template)]
    return [(parts[0], parts[1:]) for parts in found]


def fill(template: str, row: Mapping[str, Any], words: Mapping[str, str], *, where: str) -> str:
    """The template with its fields filled in, once: braces inside a value stay as they are."""

    def value(match: re.Match[str]) -> str:
        path, *filters = match[1].split("|")
        found = _look_up(path, row, words, where, lines="block" in filters)
        for step in filters:
            name, _, argument = step.partition("=")
            found = FILTERS[name](found, argument, words, where)
        return found

    return _FIELD.sub(value, template)


def _look_up(path: str, row: Mapping[str, Any], words: Mapping[str, str], where: str, *, lines: bool = False) -> str:
    here = walk(path, {**row, "words": words}, where)
    if here is None:
        raise MissingValue(path)
    if lines and isinstance(here, list):
        here = "\n".join(map(str, here))
    if isinstance(here, bool) or not isinstance(here, str | int):
        raise InputError(f"'{path}' is not a text or a whole number but {type(here).__name__}", where=where)
    return str(here)


def walk(path: str, row: Mapping[str, Any], where: str) -> Any:
    """What a path of keys and list places leads to; InputError, naming the columns, where it leads nowhere."""
    here: Any = row
    for part in path.split("."):
        try:
            here = here[int(part)] if isinstance(here, list) else here[part]
        except (KeyError, IndexError, ValueError, TypeError):
            has = sorted(str(name) for name in row if name != "words")
            known = f" This row has: {', '.join(has)}."
            raise InputError(f"the row has no '{path}'", where=where, how=did_you_mean(part, has) + known) from None
    return here


class MissingValue(Exception):
    """A row's field is there but null: published files have a few such rows, which cannot be asked."""


def _word(value: str, _: str, words: Mapping[str, str], where: str) -> str:
    if value not in words:
        raise InputError(f"there is no word for '{value}'", where=where, how=did_you_mean(value, words))
    return words[value]


def _after(value: str, mark: str, _: Mapping[str, str], where: str) -> str:
    if mark not in value:
        raise InputError(f"'{mark}' is missing in '{value[-60:]}'", where=where)
    return value.rpartition(mark)[2].strip()


def _boxed(value: str, _: str, words: Mapping[str, str], where: str) -> str:
    found = boxed(value)
    if found is None:
        raise InputError(f"there is no closed \\boxed{{…}} in '{value[-60:]}'", where=where)
    return found


FILTERS: dict[str, Callable[[str, str, Mapping[str, str], str], str]] = {
    "block": lambda value, argument, words, where: f"\n{value}" if value else "",
    "boxed": _boxed,
    "spaced": lambda value, argument, words, where: value.replace("_", " "),
    "strip": lambda value, argument, words, where: value.strip(),
    "no_final_mark": lambda value, argument, words, where: value.strip().rstrip(_FINAL_MARKS).rstrip(),
    "lower_first": lambda value, argument, words, where: value[:1].lower() + value[1:],
    "word": _word,
    "after": _after,
}
"""`strip` outer blanks; `no_final_mark` drops a sentence's end; `lower_first`; `word` gives the language's word of that
name; `after=MARK` keeps what follows the last MARK; `boxed` what the last `\\boxed{…}` holds; `spaced` writes blanks
for underscores; `block` puts a text, or the lines of a list, on lines of their own if there is anything."""
