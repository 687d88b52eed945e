"""Normalising twice changes nothing more; words keep their marks; invisible noise goes."""

import gzip
import json
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.lang.mojibake import repair_mojibake
from sampan.lang.normalise import Change, changes, normalise
from sampan.lang.vietnamese import place_tones

BLOCKS = {
    "Thai": (0x0E00, 0x0E7F),
    "Lao": (0x0E80, 0x0EFF),
    "Myanmar": (0x1000, 0x109F),
    "Khmer": (0x1780, 0x17FF),
    "Tamil": (0x0B80, 0x0BFF),
    "Latin-1": (0x0080, 0x00FF),
    "Vietnamese": (0x1EA0, 0x1EF9),
    "accents": (0x0300, 0x036F),
    "Han": (0x4E00, 0x4E60),
}

TRICKY = st.text(
    st.sampled_from(
        "a \t\n\r\x0b\x85\u2028\u00a0\u200b\u200c\u200d\ufeff\u0301é"
        "กเแาํำฺุู่้ກເແາໍຳຸູ່້ຄ"
        "ក្ខិ\u17d2မ\u103a\u1037ကக்ஷ\u0bcd😀\U0001f3fd❤\ufe0fی中\u3000"
    ),
    max_size=40,
)


@settings(max_examples=400, deadline=None)  # the first call may make a table or import a library
@given(st.one_of(TRICKY, st.text(max_size=40)))
def test_idempotent_and_nfc(text):
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    once.encode("utf-8")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(BLOCKS)), st.data())
def test_idempotent_in_every_block(block, data):
    first, last = BLOCKS[block]
    letters = st.one_of(st.characters(min_codepoint=first, max_codepoint=last), st.sampled_from(" \n\u200b\u200ca"))
    once = normalise(data.draw(st.text(letters, max_size=40)))
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert changes(once) == []


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


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("ที่่", "ที่"),  # a tone twice
        ("ท่ี", "ที่"),  # tone before its vowel
        ("สิทธ์ิ", "สิทธิ์"),
        ("คะ่", "ค่ะ"),
        ("กา้ว", "ก้าว"),
        ("จาา้า", "จ้าาา"),  # drawn out on purpose
        ("ຫືຼ", "ຫຼື"),  # Lao: subscript LO before the vowel
        ("ທ່ີ", "ທີ່"),
        ("ຄໍາ", "ຄຳ"),
        ("ຫຼື ຫລື", "ຫຼື ຫລື"),  # two spellings, both in use
        ("တုိ့", "တို့"),
        ("မှျ", "မျှ"),
        ("တံုး", "တုံး"),
        ("ရဲ ့", "ရဲ့"),
        ("၀ယ်", "ဝယ်"),
        ("၂၀ ၁၀၀ယောက်", "၂၀ ၁၀၀ယောက်"),
        ("ဥပမာ ဥ်", "ဥပမာ ဉ်"),
        ("ကျွန်ုပ် ယောက်ျား", "ကျွန်ုပ် ယောက်ျား"),  # an asat before a vowel stays
        ("ကျွနု်ပ် နို်င်ငံ", "ကျွန်ုပ် နိုင်ငံ"),
    ],
)
def test_marks_in_one_order(raw, clean):
    assert normalise(raw) == unicodedata.normalize("NFC", clean)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("à¸ªà¸§à¸±à¸ªà¸”à¸µ", "สวัสดี"),
        ("à¸\x81à¸²à¸£", "การ"),
        ("Tiáº¿ng Viá»‡t", "Tiếng Việt"),
        ("á€™á€¼á€”á€ºá€™á€¬", "မြန်မာ"),
        ("ไทย à¸ªà¸§à¸±à¸ªà¸”à¸µ", "ไทย สวัสดี"),
        ("good line\nthÃ nh phá»‘ is not, Ä\x91Ã³", "good line\nthà nh phố is not, đó"),
        ("ÊÇÑÊ´Õ", "สวัสดี"),
        ("»ÃÐà·Èä·Â 2567 ¡ÒÃÈÖ¡ÉÒ", "ประเทศไทย 2567 การศึกษา"),
        ("\x93quoted\x94 \x96 \x80 5", "“quoted” – € 5"),
    ],
)
def test_mojibake_is_repaired(raw, clean):
    assert repair_mojibake(raw) == clean
    assert normalise(raw) == clean


@pytest.mark.parametrize(
    "text",
    [
        "“à”… Ô”™ Ã",
        "ÀÁÂÃÄÅ",
        "ÁÉÍÓÚ áéíóú",
        "café «déjà» où",
        "ÊÊÊÊÊÊÊ",
        "ÊÇÑ café ÊÇÑÊ´Õ",
        "người Việt ở “Huế”…",
        "Âêîôû êàéèù",
        "½¾¼×÷¿¡§",
        "ð Þ þ æøåÆØÅ",
    ],
)
def test_good_text_is_not_repaired(text):
    assert repair_mojibake(text) == text


def test_one_byte_thai_is_not_guessed_in_another_language():
    assert normalise("ÊÇÑÊ´Õ", "vie_Latn") == "ÊÇÑÊ´Õ"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hòa bình, khỏe, thúy, HÒA Thúy", "hoà bình, khoẻ, thuý, HOÀ Thuý"),
        ("quý toàn hoạt ngoèo lúa của tùy", "quý toàn hoạt ngoèo lúa của tuỳ"),
    ],
)
def test_vietnamese_tones_in_either_style(old, new):
    assert place_tones(old, "new") == new
    assert place_tones(new, "old") == old
    assert place_tones(old, "keep") == old
    assert normalise(new, tone_placement="old") == old
    with pytest.raises(ValueError, match="keep, old, new"):
        place_tones(old, "other")


def test_changes_say_what_was_done_and_add_up():
    text = "นํ้า  นํ้า\u200b\r\nท่ี"
    found = changes(text)
    assert Change("mark_order", "นํ้า", "น้ำ", 2) in found
    assert Change("mark_order", "ท่ี", "ที่", 1) in found
    assert {change.reason for change in found} == {"mark_order", "blank", "invisible", "line_end"}
    assert changes(normalise(text)) == []


@pytest.mark.parametrize(
    "unit",
    [
        "\u0301\u0323",
        "\u0bcd\u200c",
        "\u0bcd\u200d\u0301",
        "า่",
        "ະ່",
        "\u1038\u103a",
        "\u17d2ក\u17c9",
        "เ",
        "ํ่า",
        "\u1031\u1039",
        "ÊÑ",
        " ",
        "\u00a0 ",
    ],
)
def test_a_hostile_page_costs_no_more_than_its_length(unit):
    """Piles of marks on which sorting or moving one by one would take the square of the length (hours here)."""
    start = time.process_time()
    normalise("a\u0301" + unit * (200_000 // len(unit)))
    normalise(unit * (200_000 // len(unit)) + "a")
    assert time.process_time() - start < 5  # measured below 1


def test_changes_of_a_long_line_are_counted_without_pairs():
    found = changes("นํ้า " * 6000)
    assert Change("mark_order", "นํ้า", "", 6000) in found
    assert Change("mark_order", "", "น้ำ", 6000) in found


@pytest.mark.shared
def test_shared_text_of_every_language(shared):
    """Twice is once, NFC, and no word of clean text is taken for mojibake (one line of Tatoeba really is)."""
    repaired = 0
    for path in sorted((shared / "data/text").glob("*/*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in list(file)[::12]:
                text = json.loads(line)["text"]
                once = normalise(text)
                assert normalise(once) == once, path.name
                assert unicodedata.is_normalized("NFC", once)
                repaired += repair_mojibake(text) != text
    assert repaired <= 1


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["en/ntrex128", "vi/viwiki", "th/thaigov", "km/tico19", "my/voa_unicode", "zh/progit2"]
)
def test_clean_text_is_normalised_fast(shared, name):
    """At least 3 MB/s of CPU time; measured 10 to 23, so a busy machine has room."""
    with gzip.open(shared / f"data/text/{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [normalise(json.loads(line)["text"]) for line in list(file)[:60]]
    start = time.process_time()
    for text in texts:
        normalise(text)
    seconds = time.process_time() - start
    assert sum(len(text.encode()) for text in texts) / seconds >= 3e6
