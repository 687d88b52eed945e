"""Profiles are complete, their words are real, and a mistake in one is named."""

import gzip
import json
import unicodedata
from pathlib import Path

import pytest
import yaml

from sampan.core.errors import RecipeError
from sampan.core.identity import digest_resources
from sampan.lang.codes import normalise_code
from sampan.lang.identify import _group_of
from sampan.lang.normalise import changes, normalise
from sampan.lang.profile import (
    FOLDER,
    VARIABLE,
    forget_profiles,
    harmful_words,
    languages,
    load_profile,
    profiles_digest,
    read_profile,
    reads_own_profiles,
    use_profiles,
)
from sampan.lang.scripts import chinese_variant, own_script_share
from sampan.lang.segment import sentences, words
from sampan.lang.segmenters import word_segment

FILES = {
    "eng_Latn": ["en/ud_english-ewt", "en/ntrex128"],
    "zho_Hans": ["zh/ntrex128", "zh/ud_chinese-gsdsimp"],
    "vie_Latn": ["vi/viwiki", "vi/ntrex128"],
    "ind_Latn": ["id/ntrex128", "id/ud_indonesian-gsd"],
    "msa_Latn": ["ms/ntrex128", "ms/tico19"],
    "tha_Thai": ["th/thaigov", "th/ntrex128"],
    "khm_Khmr": ["km/ntrex128", "km/tico19"],
    "lao_Laoo": ["lo/ntrex128", "lo/udhr"],
    "mya_Mymr": ["my/voa_unicode", "my/tico19"],
    "tgl_Latn": ["tl/ntrex128", "tl/tico19"],
    "tam_Taml": ["ta/tico19", "ta/ntrex128"],
    "jav_Latn": ["jv/wikipedia_sentences", "jv/nusax_train"],
    "sun_Latn": ["su/nusax_train", "su/tts_prompts"],
}


@pytest.mark.parametrize("code", languages())
def test_a_profile_is_complete_and_consistent(code):
    profile = load_profile(code)
    assert len(set(profile.stop_words)) == len(profile.stop_words) >= 30
    assert profile.sentence_enders
    assert [unicodedata.numeric(digit) for digit in profile.digits] == list(range(10))
    assert set(profile.sisters) <= set(languages()) - {code}
    for sister in profile.sisters:
        assert code in load_profile(sister).sisters, "sisters are mutual"
    for word in (*profile.stop_words, *profile.markers):
        assert normalise(word, code) == word, f"{word} would never be found in normalised text"
        assert own_script_share(word, profile.script) == 1.0
    assert profile.spaced or profile.segmenters
    assert harmful_words(profile) == ()


SENTENCES = yaml.safe_load((Path(__file__).parent / "sentences.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("code", languages())
def test_ten_sentences_of_each_language(code):
    """Written in normal form, in the language's script and with its words; nothing about them needs a repair."""
    assert len(set(SENTENCES[code])) >= 10
    profile = load_profile(code)
    assert changes("\n".join(SENTENCES[code]), code) == []
    for sentence in SENTENCES[code]:
        assert own_script_share(sentence, profile.script) == 1.0
        assert sentences(sentence, code) == [sentence]
        assert "".join(word_segment(sentence, code)) == sentence
    text = "\n".join(SENTENCES[code])
    inside = {word.lower() for word in words(text, code)} if profile.spaced else text
    assert sum(word in inside for word in profile.stop_words) >= 6


VALID = 'name: Test\nnative_name: Test\nscript: Latn\nalpha2: "tt"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stop_word: [a]", "stop_words"),
        ("stop_words: [a, on]", "True"),
        ("stop_words: a", "list of words"),
        ("alpha2: no", "Quote it"),
        ("spaced: 'yes'", "bool"),
        ("digits: '012'", "ten characters"),
        ("tone_placement: modern", "keep, old or new"),
        ("thresholds: {min_letters: 3}", "min_characters"),
        ("thresholds: {max_digit_share: 35}", "0 to 1"),
        ("thresholds: 3", "mapping"),
        ("code: xx", "profile field 'code'"),
        ("name: [", "not YAML"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, message):
    path = tmp_path / "tst_Latn.yaml"
    field = text.partition(":")[0]
    kept = "".join(line + "\n" for line in VALID.splitlines() if not line.startswith(field + ":"))
    path.write_text(kept + text + "\n")
    with pytest.raises(RecipeError) as error:
        read_profile(path)
    assert message in str(error.value)
    assert "tst_Latn.yaml" in str(error.value)


def test_a_profile_of_ones_own_is_read(tmp_path):
    path = tmp_path / "tst_Latn.yaml"
    path.write_text(VALID + "stop_words: [a, b]\nmarkers: [c]\nthresholds: {min_characters: 5}\n")
    profile = read_profile(path)
    assert (profile.code, profile.stop_words, profile.markers) == ("tst_Latn", ("a", "b"), frozenset("c"))
    assert profile.thresholds.min_characters == 5
    path.write_text(VALID.replace("alpha2", "#"))
    with pytest.raises(RecipeError, match="lacks `alpha2`"):
        read_profile(path)
    (tmp_path / "tst_Thai.yaml").write_text(VALID)
    with pytest.raises(RecipeError, match="does not match the file name"):
        read_profile(tmp_path / "tst_Thai.yaml")


def test_harmful_words_come_from_a_file_or_a_folder(tmp_path):
    profile = load_profile("tha_Thai")
    (tmp_path / "tha_Thai.txt").write_text("# ours\nคำหนึ่ง\n\nสอง คำ  # two words\nคำหนึ่ง\n", encoding="utf-8")
    assert harmful_words(profile, str(tmp_path)) == ("คำหนึ่ง", "สอง คำ")
    assert harmful_words(profile, str(tmp_path / "tha_Thai.txt")) == ("คำหนึ่ง", "สอง คำ")
    assert harmful_words(load_profile("lao_Laoo"), str(tmp_path)) == ()
    with pytest.raises(RecipeError, match="harmful words"):
        harmful_words(profile, str(tmp_path / "none.txt"))


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("这个国家的经济发展", "Hans"),
        ("這個國家的經濟發展", "Hant"),
        ("这个国家 這個國家", "mixed"),
        ("人口 abc", ""),
        ("", ""),
    ],
)
def test_chinese_variant(text, variant):
    assert chinese_variant(text) == variant


def test_no_profile_file_is_empty():
    assert all(path.stat().st_size > 200 for path in FOLDER.glob("*.yaml"))
    assert len(languages()) == 13


@pytest.mark.shared
@pytest.mark.parametrize("code", FILES)
def test_stop_words_are_frequent_in_real_text(shared, code):
    """Measured: nine in ten words stand in over 4 % of the documents, and nearly every document has two of them."""
    profile = load_profile(code)
    found, hits = dict.fromkeys(profile.stop_words, 0), []
    for name in FILES[code]:
        with gzip.open(shared / f"data/text/{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            texts = [normalise(json.loads(line)["text"], code) for line in list(file)[:100]]
        for text in texts:
            if len(text) < 300:
                continue
            inside = {word.lower() for word in words(text, code)} if profile.spaced else text
            hits.append(sum(word in inside for word in profile.stop_words))
            for word in profile.stop_words:
                found[word] += word in inside
    assert sum(hit >= 2 for hit in hits) >= 0.99 * len(hits)
    assert sum(count > 0.04 * len(hits) for count in found.values()) >= 0.9 * len(found)


OWN = """
name: Balinese
native_name: Basa Bali
script: Latn
alpha2: ""
aliases: [bal]
sisters: [ind_Latn]
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of own profiles in use, and the package's alone again afterwards."""
    monkeypatch.setenv(VARIABLE, "")
    (tmp_path / "ban_Latn.yaml").write_text(OWN)
    use_profiles(tmp_path)
    yield tmp_path
    monkeypatch.setenv(VARIABLE, "")
    forget_profiles()


def test_an_own_profile_is_a_language_like_others(own):
    assert load_profile("ban_Latn").native_name == "Basa Bali"
    assert {"ban_Latn", "tha_Thai"} <= set(languages())
    assert normalise_code("ban") == normalise_code("bal") == "ban_Latn"
    assert normalise_code("jv") == "jav_Latn"
    with pytest.raises(RecipeError, match="no language ''"):
        normalise_code("")


def test_an_own_profile_replaces_one_of_the_package(own):
    (own / "lao_Laoo.yaml").write_text(OWN.replace("script: Latn", "script: Laoo").replace("Balinese", "Our Lao"))
    use_profiles(own)
    assert load_profile("lao_Laoo").name == "Our Lao"


def test_the_content_of_own_profiles_is_identity_and_nothing_is_without_them(own):
    first, reads = profiles_digest(), reads_own_profiles()
    (own / "ban_Latn.yaml").write_text(OWN + "stop_words: [ring]\n")
    assert profiles_digest() != first
    assert reads_own_profiles() != reads


def test_without_own_profiles_nothing_is_added_to_keys(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    assert reads_own_profiles() == {}
    assert profiles_digest() == digest_resources("sampan.lang", "profiles")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("ban_Latn.yaml", OWN + "stopwords: [ring]", "Did you mean 'stop_words'"),
        ("ban_Latn.yaml", OWN.replace("script: Latn\n", ""), "lacks `script`"),
        ("ban_Latn.yaml", OWN + "stop_words: [no]", "Quote it"),
        ("ban_Latn.yaml", OWN.replace("[ind_Latn]", "[ind_Latin]"), "Did you mean 'ind_Latn'"),
        ("ban_Latn.yaml", OWN + "segmenters: [icux]", "Did you mean 'icu'"),
        ("ban_Latn.yaml", "- a list", "mapping"),
        ("balinese.yaml", OWN, "is no name of a profile"),
        ("ban_Latn.yml", OWN, "is no name of a profile"),
    ],
)
def test_a_mistake_in_an_own_profile_is_told_before_anything_runs(own, name, text, told):
    (own / "ban_Latn.yaml").unlink()
    (own / name).write_text(text)
    with pytest.raises(RecipeError, match=told) as error:
        use_profiles(own)
    assert str(own) in str(error.value)


def test_a_folder_without_profiles_is_told(own):
    with pytest.raises(RecipeError, match="no folder of language profiles"):
        use_profiles(own / "missing")
    (own / "ban_Latn.yaml").unlink()
    with pytest.raises(RecipeError, match="no language profile in this folder"):
        use_profiles(own)


def test_sisters_need_not_name_an_own_profile_back(own):
    assert _group_of("ban_Latn") == _group_of("ind_Latn") == _group_of("jav_Latn") != _group_of("tha_Thai")
