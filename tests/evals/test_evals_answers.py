"""Marking of free answers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sampan.artifacts.items import Item
from sampan.core.errors import InputError
from sampan.evals.answers import cut, is_right, last_number
from sampan.evals.generation import opening
from sampan.evals.marks import share


def item(answer: str = "", pattern: str = "", **meta) -> Item:
    return Item("1", "t", "generate", "tha_Thai", "?", [], answer, pattern, meta)


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("so it is 18.", "18"),
        ("9 * 2 = $18 every day", "18"),
        ("คำตอบคือ ๑๘ ดอลลาร์", "18"),
        ("ចម្លើយ ១៨", "18"),
        ("အဖြေ ၁၈", "18"),
        ("ຄຳຕອບ ໑໘", "18"),
        ("totalnya 2.125 rupiah", "2125"),
        ("in total 2,125", "2125"),
        ("2125", "2,125"),
        ("it is 2,125.00 dollars", "2125"),
        ("es 1.234.567", "1234567"),
        ("12,34,567 ரூபாய்", "1234567"),
        ("it is -5", "-5"),
        ("3, 4, 18", "18"),
        ("0.50", "0.5"),
        ("0,5 liter", "0.5"),
    ],
)
def test_evals_number_is_right(output, answer):
    assert is_right(item(answer, match="number"), output)


@pytest.mark.parametrize(
    ("output", "answer"),
    [("18 then 19", "18"), ("none", "18"), ("", "18"), ("118", "18"), ("1.8", "18"), ("10-5", "-5"), ("5", "-5")],
)
def test_evals_number_is_wrong(output, answer):
    assert not is_right(item(answer, match="number"), output)


def test_evals_number_has_both_readings_only_where_unclear():
    assert last_number("1.000") == {Decimal(1000), Decimal(1)}
    assert last_number("1.00") == {Decimal(1)}
    assert last_number("1,000.5") == {Decimal("1000.5")}
    assert last_number("1000,5") == {Decimal("1000.5")}


def test_evals_exact_match_strips_and_normalises():
    assert is_right(item("café"), "  cafe\u0301\n")
    assert not is_right(item("café"), "cafés")


def test_evals_stop_cuts_before_marking():
    assert is_right(item("18", match="number", stop=["\nQ:"]), " 18\nQ: what is 7?")
    assert not is_right(item("18", match="number"), " 18\nQ: what is 7?")
    assert cut("abcd", ["d", "b", ""]) == "a"


def test_evals_pattern():
    assert is_right(item(pattern=r"(?i)\bjakarta\b"), "It is Jakarta.")
    assert not is_right(item(pattern=r"(?i)\bjakarta\b"), "Bandung")
    with pytest.raises(InputError, match="not a regular expression"):
        is_right(item(pattern="("), "x")


def test_evals_share_stderr():
    mark = share("acc", [True, True, False, False, False])
    assert mark.value == 0.4
    assert mark.stderr == pytest.approx((0.4 * 0.6 / 4) ** 0.5)
    assert share("acc", [True]).stderr is None


def test_evals_opening_keeps_marks_with_their_letter():
    text = "ก" * 26 + "กำนี้" + "ข" * 300
    for length in range(60, len(text)):
        question = opening("tha_Thai", text[:length])
        assert text.startswith(question.prompt + question.expected)
        assert question.expected[:1] not in ("ี", "้")
    assert opening("eng_Latn", "one two three four five six seven").prompt == "one two"
    assert opening("eng_Latn", "a").prompt == "a"
