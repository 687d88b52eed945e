"""Options that a row lists: the marks they carry, the letters they get, their order, and which one is right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import InputError
from .options import shuffled
from .task_file import Language, MissingValue, Task, fill, walk

ALPHABETS = (
    "ABCDEFGH", "abcdefgh", "12345678", "กขคงจฉชซ", "ກຂຄງຈສຊຍ", "កខគឃងចឆជ", "ကခဂဃငစဆဇ",
    "๑๒๓๔๕๖๗๘", "໑໒໓໔໕໖໗໘", "១២៣៤៥៦៧៨", "၁၂၃၄၅၆၇၈", "一二三四五六七八", "甲乙丙丁戊己庚辛",
)  # fmt: skip
"""What options are marked with, in order. A mark that is none of these is taken for a part of the text."""
_MARK = re.compile(r"\s*[(（]?\s*(\w)\s*(?:[)）、]|[.．:：](?!\d))\s*")


class WrongKey(Exception):
    """The answer's key names none of the options, or there are fewer than two."""


@dataclass(frozen=True)
class Options:
    """Options as a prompt shows them."""

    lines: list[str]
    """Each with its mark."""
    marks: list[str]
    """What names each; [] where the row marks none and no letters were given."""
    texts: list[str]
    """Each without its mark."""
    answer: str
    """The right one's mark, or the row's own key where there are no marks."""


def read_options(texts: Sequence[str], key: str, *, letters: str = "", seed: int | None = None, name: str) -> Options:
    """The options of one row; `key` is the right one's mark or, where they carry none, its index from 0.

    `letters` take the place of the marks they carry ("(1) …", "A. …", "ก. …"). With a `seed` they are shuffled, each
    row in an order of its own by its `name`, and the key moves along; marks or letters stay in their places.
    """
    matches = [_MARK.match(text) for text in texts]
    found = [match[1] for match in matches if match]
    marks = found if any(alphabet.startswith("".join(found)) for alphabet in ALPHABETS) else []
    if len(marks) < len(texts):
        marks = []
    if len(texts) < 2 or len(letters or texts) < len(texts):
        raise WrongKey(f"{len(texts)} options")
    bare = [text[match.end() :] for text, match in zip(texts, matches, strict=True)] if marks else list(texts)
    if not marks and not letters:
        return Options(list(texts), [], bare, key)
    right = _index(key, marks, letters, len(texts))
    if seed is not None:
        bare, right = shuffled(bare, right, seed=seed, key=name)
    shown = list(letters[: len(bare)]) if letters else marks
    heads = [f"{letter}. " for letter in shown] if letters else [m[0] for m in matches]
    lines = [head + text for head, text in zip(heads, bare, strict=True)]
    return Options(lines, shown, bare, shown[right])


def _index(key: str, marks: Sequence[str], letters: str, count: int) -> int:
    if key in marks:
        return marks.index(key)
    if not marks and key.isascii() and key.isdigit() and int(key) < count:
        return int(key)
    if not marks and len(key) == 1 and key in letters[:count]:
        return letters.index(key)
    raise WrongKey(f"the key '{key}' is none of {', '.join(marks or letters[:count])}")


def row_options(task: Task, language: Language, row: Mapping[str, Any], name: str, where: str) -> Options | None:
    """The row's options in the order in which they are asked, None for a task without; WrongKey as `read_options`."""
    if not task.options:
        return None
    texts = walk(task.options, row, where)
    if texts is None:
        raise MissingValue(task.options)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"'{task.options}' is not a list of texts", where=where)
    key = fill(task.answer, row, language.words, where=where).strip()
    letters = fill(task.letters, row, language.words, where=where)
    return read_options(texts, key, letters=letters, seed=task.shuffle_seed, name=name)
