"""Clusters join back and never cut a mark off; words and sentences follow the script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.lang.profile import languages
from sampan.lang.segment import clusters, sentences, words

# Letters, marks and joiners of the region's scripts, where a cluster pattern could go wrong, with plain characters.
REGION = st.text(
    st.one_of(
        st.sampled_from([chr(c) for c in (*range(0x0E00, 0x0F00), *range(0x1000, 0x10A0), *range(0x1780, 0x1800))]),
        st.sampled_from("a é\u0301\u200b\u200c\u200d\n\r.中க்ஷ😀"),
    ),
    max_size=60,
)


@given(st.one_of(REGION, st.text(max_size=60)))
def test_clusters_join_back(text):
    assert "".join(clusters(text)) == text


@given(REGION, st.sampled_from(languages()))
def test_words_and_sentences_are_in_the_text_in_order(text, language):
    for pieces in (words(text, language), sentences(text, language)):
        place = 0
        for piece in pieces:
            place = text.index(piece, place) + len(piece)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("เพื่อน", ["เพื่", "อ", "น"]),
        ("น้ำใจ", ["น้ำ", "ใจ"]),
        ("ເພື່ອນ", ["ເພື່", "ອ", "ນ"]),
        ("ស្រី្ត", ["ស្រី្ត"]),
        ("ខ្មែរ", ["ខ្មែ", "រ"]),
        ("မြန်မာ", ["မြန်", "မာ"]),
        ("သတ္တဝါ", ["သတ္တ", "ဝါ"]),
        ("ကျွန်တော်", ["ကျွန်", "တော်"]),
        ("a\u0301b", ["a\u0301", "b"]),
        ("கொடு", ["கொ", "டு"]),
    ],
)
def test_clusters_by_script(text, expected):
    assert clusters(text) == expected


def test_words_keep_marks_and_the_unit_is_the_cluster_without_spaces():
    assert words("Tiếng Việt, không khó!", "vie_Latn") == ["Tiếng", "Việt", "không", "khó"]
    assert words("kupu-kupu don't", "ind_Latn") == ["kupu-kupu", "don't"]
    assert words("தமிழ் மொழி", "tam_Taml") == ["தமிழ்", "மொழி"]
    assert words("ใช้ Linux 24 ปี", "tha_Thai") == ["ใช้", "Linux", "24", "ปี"]
    assert words("我用Linux。", "zho_Hans") == ["我", "用", "Linux"]


@pytest.mark.parametrize(
    ("language", "text", "count"),
    [
        ("eng_Latn", "It cost 3.5 dollars. Was it worth it? Yes! e.g. for them.", 4),
        ("eng_Latn", "See https://a.org/?q=1 now.", 1),
        ("khm_Khmr", "ខ្ញុំទៅផ្សារ។ គាត់នៅផ្ទះ៕", 2),
        ("mya_Mymr", "သူလာတယ်။ငါသွားမယ်။", 2),
        ("zho_Hans", "他说：“好。”然后走了。", 2),
        ("tha_Thai", "ฉันไปตลาด แล้วกลับบ้าน\nฝนตก", 2),
        ("tam_Taml", "அவன் வந்தான். நான் போனேன்.", 2),
    ],
)
def test_sentences(language, text, count):
    assert len(sentences(text, language)) == count
