"""Every frame with every word: complete, in its script, parallel; a cloze is the beginning of a told sentence."""

import random
import re
import unicodedata

import pytest

from sampan.corpus.village import world as vw
from sampan.corpus.village.codes import LANGUAGES
from sampan.corpus.village.documents import TALES, Tale, make_plan, tell_plan, tell_tale
from sampan.corpus.village.grammar import KINDS, load_language

SCRIPT_NAMES = {
    "Latn": "LATIN",
    "Hans": "CJK",
    "Thai": "THAI",
    "Khmr": "KHMER",
    "Laoo": "LAO",
    "Mymr": "MYANMAR",
    "Taml": "TAMIL",
}
IDS = {
    "person": vw.PERSONS,
    "place": vw.PLACES,
    "job": vw.JOBS,
    "good": vw.GOODS,
    "food": vw.FOODS,
    "animal": vw.ANIMALS,
    "weekday": vw.WEEKDAYS,
    "language": LANGUAGES,
}
WORLD = vw.build_world(0)


def slots_of(frame):
    return re.findall(r"\{(\w+)(?:\.\w+)?\}", frame)


def fillings(frame):
    """Slots that between them put every word of the lexicon into every slot of the frame."""
    base = {"price": 20, "n": 3, "total": 60, "text": "x", "question": "x", "a": "x", "b": "x"}
    base |= {name: IDS[KINDS.get(name, name)][0] for name in slots_of(frame) if KINDS.get(name, name) in IDS}
    yield base
    for name in slots_of(frame):
        for word in IDS.get(KINDS.get(name, name), ()):
            yield {**base, name: word}


def all_frames(lang):
    for relation in lang.grammar["relations"].values():
        for use in ("tell", "ask", "answer", "cloze"):
            yield from relation[use]
    for frames in lang.grammar["narrative"].values():
        yield from frames
    for use in ("sum", "translate", "judge"):
        for frames in lang.grammar[use].values():
            yield from frames


def letters(text):
    """Letters and marks of a text, each with the first word of its Unicode name."""
    for mark in text:
        if unicodedata.category(mark)[0] in "LM":
            yield unicodedata.name(mark).split()[0]


def purity(text, script):
    names = list(letters(text))
    return sum(name == SCRIPT_NAMES[script] for name in names) / len(names)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_frame_takes_every_word(code):
    lang = load_language(code)
    for frame in all_frames(lang):
        for slots in fillings(frame):
            text = lang.fill(frame, slots)
            assert "{" not in text, (frame, text)
            assert "}" not in text, (frame, text)
            assert "  " not in text, (frame, text)


@pytest.mark.parametrize("code", LANGUAGES)
def test_lexicon_names_everything_differently(code):
    lang = load_language(code)
    for kind, ids in IDS.items():
        words = [lang.words[kind, key, "name"] for key in ids]
        assert len(set(words)) == len(words), kind


@pytest.mark.parametrize("code", LANGUAGES)
def test_relations_have_paraphrases_with_the_same_slots(code):
    relations = load_language(code).grammar["relations"]
    assert set(relations) == set(vw.RELATIONS)
    for name, relation in relations.items():
        subject = {"place", "good"} if name == "price" else {"person"}
        wanted = subject | {vw.VALUE_SLOT[name]}
        assert len(set(relation["tell"])) >= 4
        assert len(set(relation["ask"])) >= 2
        for use in ("tell", "answer", "cloze"):
            assert all(set(slots_of(frame)) == wanted for frame in relation[use]), (name, use)
        assert all(set(slots_of(frame)) == subject for frame in relation["ask"]), name


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_cloze_is_the_beginning_of_a_told_sentence_with_the_value_last(code):
    for name, relation in load_language(code).grammar["relations"].items():
        assert len(relation["cloze"]) == 2
        for frame in relation["cloze"]:
            assert any(told.startswith(frame) for told in relation["tell"]), frame
            assert slots_of(frame)[-1] == vw.VALUE_SLOT[name], frame


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_choice_is_the_beginning_of_another(code):
    # a summed log-probability would favour the shorter of two such choices whatever the model knows
    lang = load_language(code)
    for relation in vw.RELATIONS:
        fact = next(f for f in WORLD.facts if f.relation == relation)
        for number in range(2):
            _, choices = lang.cloze(fact, number, WORLD.values[relation])
            for one in choices:
                assert not any(other != one and other.startswith(one) for other in choices), one


@pytest.mark.parametrize("code", LANGUAGES)
def test_cloze_spacing_follows_the_script(code):
    lang = load_language(code)
    fact = next(f for f in WORLD.facts if f.relation == "lives_in")
    prompt, choices = lang.cloze(fact, 0, vw.PLACES)
    assert prompt == prompt.rstrip()
    spaced = code not in ("zho_Hans", "tha_Thai", "lao_Laoo", "khm_Khmr")
    assert all(choice.startswith(" ") == spaced for choice in choices)


@pytest.mark.parametrize("code", LANGUAGES)
def test_tales_are_parallel(code):
    english, lang = load_language("eng_Latn").grammar["narrative"], load_language(code).grammar["narrative"]
    assert {theme: len(frames) for theme, frames in lang.items()} == TALES
    for theme, frames in english.items():
        for one, other in zip(frames, lang[theme], strict=True):
            assert sorted(slots_of(one)) == sorted(slots_of(other)), other


@pytest.mark.parametrize("code", LANGUAGES)
def test_documents_are_in_their_script(code):
    lang = load_language(code)
    for index in range(60):
        text = tell_plan(make_plan(WORLD, 1, index), code, 1, index).text
        assert purity(text, lang.script) >= 0.9
        if lang.script != "Latn":
            assert "LATIN" not in set(letters(text)), text


@pytest.mark.parametrize("code", [c for c in LANGUAGES if not c.endswith("Latn")])
def test_no_latin_letters_in_phrases(code):
    lang = load_language(code)
    texts = [t for pairs in lang.grammar["chat"].values() for pair in pairs for t in pair]
    texts += lang.grammar["polite"] + lang.grammar["system"] + lang.grammar["form"]["ask"]
    texts += list(lang.words.values())
    assert all("LATIN" not in set(letters(text.replace("{n}", ""))) for text in texts)


def test_texts_are_normalised():
    for code in LANGUAGES:
        for frame in all_frames(load_language(code)):
            assert unicodedata.normalize("NFC", frame) == frame


def test_indonesian_and_malay_differ():
    one, other = load_language("ind_Latn").words, load_language("msa_Latn").words
    shared = [key for key in one if key[0] in ("job", "good", "food", "animal", "weekday") and one[key] == other[key]]
    assert len(shared) < 0.5 * sum(key[0] in ("job", "good", "food", "animal", "weekday") for key in one)


def test_hand_checked_sentences():
    facts = {f.relation: f for f in WORLD.facts}
    fact = facts["lives_in"]
    slots = {"person": "daming", "place": "sunali"}
    assert load_language("tam_Taml").fill("{person.gen} வீடு {place.loc} உள்ளது.", slots) == "தாமிங்கின் வீடு சுனாலியில் உள்ளது."
    assert load_language("eng_Latn").fill("{job} by trade", {"job": "farmer"}) == "A farmer by trade"
    assert load_language("khm_Khmr").number(45) == "៤៥"
    assert load_language("mya_Mymr").number(108) == "၁၀၈"
    assert load_language("zho_Hans").fill("{good.many}", {"good": "pot", "n": 4}) == "4口陶锅"
    assert load_language("tha_Thai").form(fact).startswith("คำตอบ: ")
    tale = Tale("festival", 2, {"person": "budi", "friend": "ahmad"})
    assert tell_tale(load_language("tgl_Latn"), tale) == "Nagdadala ng mga bulaklak sa pista sina Budi at Ahmad."


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_pattern_takes_the_form_and_nothing_else(code):
    lang, rng = load_language(code), random.Random(0)
    pattern = re.compile(lang.form_pattern())
    for fact in WORLD.facts:
        assert pattern.search(lang.form(fact))
        assert not pattern.search(lang.answer(fact, rng))
        assert not pattern.search(lang.form(fact) + "\n" + lang.polite(rng))
    assert not pattern.search(lang.grammar["form"]["label"] + " ")
