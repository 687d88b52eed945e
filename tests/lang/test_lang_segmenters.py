"""Word segmenters lose nothing, fall back by name, and are never asked where a library is missing."""

import builtins

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.core.errors import RecipeError
from sampan.lang import segmenters
from sampan.lang.profile import Profile, languages, load_profile
from sampan.lang.segment import clusters
from sampan.lang.segmenters import SEGMENTERS, segmenter_used, word_segment

TEXT = {
    "eng_Latn": "The ferry leaves at six -- don't be late!\n",
    "zho_Hans": "渡船六点钟出发，但是 Linux 24 小时都在。",
    "vie_Latn": "Chuyến phà rời bến lúc sáu giờ, nhưng…",
    "ind_Latn": "Kapal itu berangkat, kupu-kupu.",
    "msa_Latn": "Feri itu bertolak pada pukul enam.",
    "tha_Thai": "เรือข้ามฟากออกเวลาหกโมงเช้า แต่ใช้ Linux 24 ปี\nยังไม่มีใครเห็นกัปตันเลย",
    "khm_Khmr": "សាឡាងចេញដំណើរនៅម៉ោងប្រាំមួយ ប៉ុន្តែ (GPS) គ្មាននរណាឃើញនាយសំពៅទេ។",
    "lao_Laoo": "ເຮືອຂ້າມຟາກອອກເດີນທາງຕອນຫົກໂມງ ແຕ່ບໍ່ມີໃຜເຫັນນາຍເຮືອ 2024",
    "mya_Mymr": "ကူးတို့သင်္ဘောသည် ခြောက်နာရီတွင် ထွက်သော်လည်း ABC မတွေ့ရသေးပါ။",
    "tgl_Latn": "Aalis ang lantsa nang alas-sais.",
    "tam_Taml": "படகு ஆறு மணிக்குப் புறப்படும்.",
    "jav_Latn": "Kapal iku mangkat jam enem.",
    "sun_Latn": "Kapal eta indit jam genep.",
}
ANY = st.text(
    st.one_of(
        st.sampled_from([chr(c) for c in (*range(0x0E00, 0x0F00), *range(0x1000, 0x10A0), *range(0x1780, 0x1800))]),
        st.sampled_from("a é\u0301\u200b\n\r.,中国人我用词😀1"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)
WORDS = {
    "tha_Thai": ("budoux", "แต่ยังไม่มีใครเห็นกัปตันเลย", "ใคร"),
    "khm_Khmr": ("khmercut", "សាឡាងចេញដំណើរនៅម៉ោងប្រាំមួយ", "ម៉ោង"),
    "lao_Laoo": ("laonlp", "ເຮືອຂ້າມຟາກອອກເດີນທາງຕອນຫົກໂມງ", "ເດີນທາງ"),
    "zho_Hans": ("jieba", "渡船六点钟出发但是暴风雨之后谁也没见过船长", "暴风雨"),
}


@pytest.fixture
def bare(monkeypatch):
    """A machine without any segmenter library."""
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] in {*SEGMENTERS, "icu"}:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    segmenters._segmenter.cache_clear()
    yield
    segmenters._segmenter.cache_clear()


@settings(max_examples=150, deadline=None)
@given(ANY, st.sampled_from(languages()))
def test_segmentation_joins_back(text, language):
    pieces = word_segment(text, language)
    assert "".join(pieces) == text
    assert all(pieces)


@pytest.mark.parametrize("language", TEXT)
def test_real_sentences_join_back_in_words(language):
    pieces = word_segment(TEXT[language], language)
    assert "".join(pieces) == TEXT[language]
    assert 3 < len(pieces) < len(TEXT[language])


@pytest.mark.parametrize("language", WORDS)
def test_the_first_choice_finds_words(language):
    name, text, word = WORDS[language]
    pytest.importorskip(name)
    assert segmenter_used(language) == segmenters.SegmenterUse(language, name)
    pieces = word_segment(text, language)
    assert word in pieces
    assert len(pieces) < len(clusters(text))


def test_every_profile_names_known_segmenters_or_spaces():
    for code in languages():
        profile = load_profile(code)
        assert profile.spaced or profile.segmenters
        assert set(profile.segmenters) <= set(SEGMENTERS)
    assert segmenter_used("eng_Latn").name == "spaces"
    assert word_segment("don't stop", "eng_Latn") == ["don't", " ", "stop"]


def test_without_libraries_words_are_clusters_and_the_note_says_so(bare):
    use = segmenter_used("tha_Thai")
    assert use.name == "clusters"
    assert "budoux, pythainlp, icu not installed" in use.note
    assert word_segment("น้ำใจ ok", "tha_Thai") == ["น้ำ", "ใจ", " ", "ok"]


def test_a_segmenter_that_alters_text_is_not_believed(monkeypatch):
    monkeypatch.setitem(SEGMENTERS, "budoux", lambda language: lambda text: [text.replace("ำ", "ํา")])
    segmenters._segmenter.cache_clear()
    assert word_segment("น้ำใจ", "tha_Thai") == ["น้ำ", "ใจ"]
    segmenters._segmenter.cache_clear()


def test_a_long_run_is_cut_at_clusters(monkeypatch):
    longest = []
    monkeypatch.setitem(SEGMENTERS, "budoux", lambda language: lambda text: longest.append(len(text)) or [text])
    segmenters._segmenter.cache_clear()
    text = "เพื่อน" * 3000
    assert "".join(word_segment(text, "tha_Thai")) == text
    assert max(longest) < len(text)
    segmenters._segmenter.cache_clear()


def test_an_unknown_segmenter_is_refused_with_a_hint(monkeypatch):
    profile = Profile(
        code="tha_Thai", name="", native_name="", script="Thai", alpha2="th", spaced=False, segmenters=("budouks",)
    )
    monkeypatch.setattr(segmenters, "load_profile", lambda code: profile)
    segmenters._segmenter.cache_clear()
    with pytest.raises(RecipeError, match="budoux"):
        segmenter_used("tha_Thai")
    segmenters._segmenter.cache_clear()
