"""Marking what a model wrote: cut it where the answer ends, then compare text, a pattern or a number."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal

from ..artifacts.items import Item
from ..core.errors import InputError

_NUMBER = re.compile(r"(?:(?<!\w)[-−])?\d(?:[\d.,٫٬]*\d)?")


def cut(output: str, stops: Iterable[str]) -> str:
    """The output up to the first of `stops` (an answer's end, or the next question a base model makes up)."""
    ends = [output.find(stop) for stop in stops if stop and stop in output]
    return output[: min(ends)] if ends else output


def is_right(item: Item, output: str) -> bool:
    """Whether `output` answers a generate item.

    `pattern` set: the regular expression is found in it. `meta["match"] == "number"`: its last number equals the
    answer. Otherwise: equal to `answer` after both are stripped and put into Unicode's NFC.
    """
    output = cut(output, item.meta.get("stop", []))
    if item.pattern:
        try:
            return re.search(item.pattern, output) is not None
        except re.error as error:
            raise InputError(f"the pattern is not a regular expression ({error})", where=f"item '{item.id}'") from None
    if item.meta.get("match") == "number":
        return bool(last_number(output) & last_number(item.answer))
    return _norm(output) == _norm(item.answer)


def last_number(text: str) -> set[Decimal]:
    """The values that the last number in `text` can be read as, empty without one.

    Digits of any script count (๓, ៣, ၃, ໓). `1.000` is a thousand in Indonesian and one in English, and models answer
    either way in both, so where a separator can be a decimal point or a thousands mark both readings are given.
    """
    plain = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)
    found = _NUMBER.findall(plain)
    return _readings(found[-1]) if found else set()


def _readings(number: str) -> set[Decimal]:
    number = number.replace("−", "-").replace("٫", ".").replace("٬", ",")
    marks = [char for char in number if char in ".,"]
    values = set()
    if not marks or _grouped(number, "".join(sorted(set(marks)))):
        values.add(Decimal(re.sub("[.,]", "", number)))
    if marks and marks.count(marks[-1]) == 1:
        whole, _, part = number.rpartition(marks[-1])
        if not set(marks[:-1]) or _grouped(whole, marks[0]):
            values.add(Decimal(f"{re.sub('[.,]', '', whole)}.{part}"))
    return {value.normalize() for value in values}


def _grouped(number: str, mark: str) -> bool:
    """Whether every mark stands where thousands (or India's hundreds of thousands) are parted, all by one mark."""
    if len(mark) != 1:
        return False
    first, *rest = number.lstrip("-").split(mark)
    return 1 <= len(first) <= 3 and all(len(part) in (2, 3) for part in rest[:-1]) and len(rest[-1]) == 3


def _norm(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())
