"""SEA-HELM's two ways of reading an answer, by a table of responses worked out by hand from its published code."""

from __future__ import annotations

import pytest

from sampan.evals.helm.extraction import label_v1, label_v12, text_v1, text_v12

TAGS = {
    "ind_Latn": "jawaban:",
    "jav_Latn": "jawaban:",
    "sun_Latn": "jawaban:",
    "tam_Taml": "பதில்:",
    "tgl_Latn": "sagot:",
    "tha_Thai": "คำตอบ:",
    "vie_Latn": "câu trả lời:",
}


def pattern(tag: str) -> str:
    """1.0's pattern of what follows a tag."""
    return rf"(?<={tag})[\s\r\n]*.*"


THAI = {"แง่บวก": "Positive", "แง่ลบ": "Negative", "เฉยๆ": "Neutral"}
VIETNAMESE = {"tích cực": "Positive", "tiêu cực": "Negative", "trung lập": "Neutral"}
INDONESIAN = {"positif": "Positive", "negatif": "Negative", "netral": "Neutral"}
TAMIL = {"நேர்மறை": "Positive", "எதிர்மறை": "Negative"}
TAGALOG = {"malinis": "0", "mapoot": "1"}
LETTERS = {letter.lower(): letter for letter in "ABCD"}

V1 = [
    ("tha_Thai", THAI, "คำตอบ: แง่บวก", "Positive"),
    ("tha_Thai", THAI, "คำตอบ:แง่ลบ", "Negative"),
    ("tha_Thai", THAI, "คำตอบ: $เฉยๆ", "Neutral"),
    ("tha_Thai", THAI, "คำตอบ:\n\nแง่บวก\nเพราะ", "Positive"),
    ("tha_Thai", THAI, "แง่บวก", "Positive"),
    ("tha_Thai", THAI, "ข้อความนี้แง่บวก", ""),
    ("tha_Thai", THAI, "คำตอบ: แง่บวก เพราะ", ""),
    ("tha_Thai", THAI, "คำตอบ: แง่บวก คำตอบ: แง่ลบ", ""),
    ("tha_Thai", THAI, "คำตอบ: แง่บวก\nคำตอบ: แง่ลบ", "Positive"),
    ("vie_Latn", VIETNAMESE, "Câu trả lời: Tích cực.", "Positive"),
    ("vie_Latn", VIETNAMESE, "câu trả lời: TIÊU CỰC", "Negative"),
    ("vie_Latn", VIETNAMESE, "Câu trả lời:  trung  lập ", "Neutral"),
    ("vie_Latn", VIETNAMESE, "**Câu trả lời:** tích cực", "Positive"),
    ("vie_Latn", VIETNAMESE, "Câu trả lời: `tích cực`", "Positive"),
    ("vie_Latn", VIETNAMESE, "Câu trả lời: rất tích cực", ""),
    ("ind_Latn", INDONESIAN, "Jawaban: Positif", "Positive"),
    ("ind_Latn", INDONESIAN, "jawaban: negatif!!!", "Negative"),
    ("ind_Latn", INDONESIAN, "Jawaban: $netral", "Neutral"),
    ("ind_Latn", INDONESIAN, "Jawaban: $OPTION", ""),
    ("ind_Latn", INDONESIAN, "Jawabannya positif", ""),
    ("ind_Latn", INDONESIAN, "", ""),
    ("ind_Latn", INDONESIAN, None, ""),
    ("ind_Latn", INDONESIAN, "  \n", ""),
    ("ind_Latn", INDONESIAN, "“positif”", ""),
    ("tam_Taml", TAMIL, "பதில்: நேர்மறை", "Positive"),
    ("tam_Taml", TAMIL, "பதில்:\nஎதிர்மறை", "Negative"),
    ("tgl_Latn", TAGALOG, "Sagot: Malinis", "0"),
    ("tgl_Latn", TAGALOG, "sagot: mapoot.", "1"),
    ("tgl_Latn", LETTERS, "Sagot: B", "B"),
    ("tgl_Latn", LETTERS, "Sagot: (c)", "C"),
    ("tgl_Latn", LETTERS, "Sagot: D. dahil", ""),
    ("jav_Latn", LETTERS, "Jawaban: a", "A"),
    ("sun_Latn", LETTERS, "Jawaban:\tA", "A"),
    ("vie_Latn", LETTERS, "A", "A"),
]


@pytest.mark.parametrize(("language", "labels", "response", "label"), V1)
def test_evals_sea_helm_1_0_label(language, labels, response, label):
    assert label_v1(response, pattern(TAGS[language]), labels) == label


V12 = [
    ("คำตอบ:", list(THAI), "คำตอบ: แง่บวก เพราะดี", "แง่บวก"),
    ("คำตอบ:", list(THAI), "คำตอบ: **แง่ลบ**", "แง่ลบ"),
    ("คำตอบ:", list(THAI), "คิดก่อน\nคำตอบ:\nเฉยๆ", "เฉยๆ"),
    ("คำตอบ:", list(THAI), "แง่บวก", "แง่บวก"),
    ("คำตอบ:", list(THAI), "คำตอบ: ไม่รู้", ""),
    ("คำตอบ:", list(THAI), "คำตอบ: $แง่บวก", ""),
    ("Jawaban:", ["Positif", "Negatif", "Netral"], "JAWABAN: positif sekali", "Positif"),
    ("Jawaban:", ["Positif", "Negatif", "Netral"], "Jawaban: *Netral*", "Netral"),
    ("Jawaban:", ["Positif", "Negatif", "Netral"], "**Jawaban:** Negatif", "Negatif"),
    ("Jawaban:", ["Positif", "Negatif", "Netral"], "Jawaban: [Positif]", ""),
    ("Jawaban:", ["Positif", "Negatif", "Netral"], "positif.", "Positif"),
    ("Jawaban:", ["Positif", "Negatif", "Netral"], "Saya kira positif", ""),
    ("Jawaban:", ["A", "B", "C", "D"], "Jawaban: B. karena", "B"),
    ("Jawaban:", ["A", "B", "C", "D"], "Jawaban: AB", "B"),
    ("Jawaban:", ["A", "B", "C", "D"], "Jawaban: Benar", "B"),
    ("Jawaban:", ["A", "B", "C", "D"], "(a)", "A"),
    ("Jawaban:", ["A", "B", "C", "D"], "Jawaban: C\nJawaban: D", "C"),
    ("Jawaban:", ["A", "B", "C", "D"], "", ""),
    ("Jawaban:", ["A", "B", "C", "D"], None, ""),
    ("Jawaban:", ["A", "B", "C", "D"], "E", ""),
    ("အဖြေ:", ["က", "ခ", "ဂ", "ဃ"], "အဖြေ: ခ", "ခ"),
    ("အဖြေ:", ["က", "ခ", "ဂ", "ဃ"], "ဂ", "ဂ"),
    ("ចម្លើយ:", ["ក", "ខ", "គ", "ឃ"], "ចម្លើយ: * គ", "គ"),
    ("ຄຳຕອບ:", ["ກ", "ຂ", "ຄ", "ງ"], "ຄຳຕອບ:\n\nງ", "ງ"),
]


@pytest.mark.parametrize(("tag", "labels", "response", "label"), V12)
def test_evals_sea_helm_1_2_label(tag, labels, response, label):
    assert label_v12(response, tag, labels) == label


@pytest.mark.parametrize(
    ("tag", "response", "v1", "v12"),
    [
        ("Jawaban:", "Jawaban: Kota Jakarta\nkarena", "Kota Jakarta", "Kota Jakarta"),
        ("Jawaban:", "jawaban: Kota", "Kota", "jawaban: Kota"),
        ("Jawaban:", "JAWABAN: Kota", "JAWABAN: Kota", "JAWABAN: Kota"),
        ("Jawaban:", "Kota\nJakarta", "Kota\nJakarta", "Kota\nJakarta"),
        ("Jawaban:", "Jawaban: `Kota`", "`Kota`", "Kota`"),
        ("Jawaban:", "Jawaban: ** Kota", "** Kota", "Kota"),
        ("Jawaban:", "Jawaban:\n\nKota", "Kota", "Kota"),
        ("Jawaban:", "Jawaban:", "", ""),
        ("Terjemahan:", "Terjemahan: $Halo dunia$", "$Halo dunia", "$Halo dunia$"),
        ("Terjemahan:", "Terjemahan:$Halo dunia$", "Halo dunia", "$Halo dunia$"),
        ("คำแปล:", "คำแปล: สวัสดี ", "สวัสดี", "สวัสดี"),
    ],
)
def test_evals_sea_helm_text(tag, response, v1, v12):
    either = f"[{tag[0]}|{tag[0].lower()}]{tag[1:]}"
    assert text_v1(response, pattern(either)) == v1
    assert text_v12(response, tag) == v12
