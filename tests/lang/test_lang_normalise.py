"""Normalising twice changes nothing more; words keep their marks; invisible noise goes."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.lang.normalise import normalise

TRICKY = st.text(
    st.sampled_from(
        "a \t\n\r\x0b\x85\u2028\u00a0\u200b\u200c\u200d\ufeff\u0301é"
        "กเแาํำฺุู่้ກເແາໍຳຸູ່້ຄ"
        "ក្ខិ\u17d2မ\u103a\u1037ကக்ஷ\u0bcd😀\U0001f3fd❤\ufe0fی中\u3000"
    ),
    max_size=40,
)


@settings(max_examples=400)
@given(st.one_of(TRICKY, st.text(max_size=40)))
def test_idempotent_and_nfc(text):
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    once.encode("utf-8")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("นํ้า", "น้ำ"),
        ("นำ้", "น้ำ"),
        ("เเละ", "และ"),
        ("ນໍ້າ", "ນ້ຳ"),
        ("ភាសា\u200bខ្មែរ", "ភាសាខ្មែរ"),
        ("သွား\u200cမယ်", "သွားမယ်"),
        ("க்\u200cஷ", "க்\u200cஷ"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u0301\u0bcd\u200ca", "\u0bcd\u0301a"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("co\u00adop\u200d\ufeff", "coop"),
        ("Tie\u0302\u0301ng  Vie\u0323\u0302t", "Tiếng Việt"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("a\n\n\n\nb   c  \n", "a\n\nb c"),
        ("def f():\n    return\u00a01", "def f():\n    return 1"),
        ("lone \ud800 surrogate", "lone surrogate"),
    ],
)
def test_known_repairs(raw, clean):
    assert normalise(raw) == clean


@pytest.mark.parametrize(
    "text", ["ล้าน มี", "ຂ້ອຍບໍ່ຮູ້", "ខ្ញុំមិនដឹងទេ។", "ကျွန်တော်မသိဘူး။", "người Việt", "எனக்குத் தெரியாது", "déning wong"]
)
def test_clean_text_is_left_alone(text):
    assert normalise(text) == text
