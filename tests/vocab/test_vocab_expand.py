"""vocab.expand keeps its promises: old ids, protected text, reachable pieces, round trips, equal readers."""

from __future__ import annotations

import functools
import itertools
import json
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vocab_corpora import MIXED, PHRASES, everything, make_texts, run_stage, write_corpus

from sampan.core.errors import StageError
from sampan.core.params import parse_params
from sampan.model.tokenizer import load_tokenizer
from sampan.vocab.expand import STAGE, Params
from sampan.vocab.from_sentencepiece import parse_model, write_folder

FAMILIES = ["sentencepiece", "byte_level"]
SPACELESS = ["tha_Thai", "lao_Laoo", "khm_Khmr", "mya_Mymr"]
LETTERS = sorted(set("abcXY12 \n\t" + "".join(PHRASES.values()).replace("|", "") + "😀é中\u200b"))


@pytest.fixture(scope="module")
def pairs(bases, expanded):
    return {family: (load_tokenizer(bases[family]), load_tokenizer(expanded[family][0])) for family in FAMILIES}


@functools.cache
def tokenizer_of(folder):
    return load_tokenizer(folder)


def ids_of(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("family", FAMILIES)
def test_old_ids_stay_and_the_size_is_a_multiple(pairs, expanded, family):
    old, new = pairs[family]
    metrics = expanded[family][1]
    assert all(new.get_vocab()[token] == number for token, number in old.get_vocab().items())
    assert sorted(new.get_vocab().values()) == list(range(len(new)))
    assert len(new) % 64 == 0
    assert len(new) == metrics["vocab_size"]
    assert len(new) == len(old) + metrics["new_tokens"] + metrics["reserved_tokens"]
    assert new.all_special_ids[:2] == old.all_special_ids[:2]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("language", [*SPACELESS, "tam_Taml", "vie_Latn"])
def test_words_cost_at_most_half(expanded, family, language):
    report = json.loads((expanded[family][0] / "fertility.json").read_text("utf-8"))
    row = {row["language"]: row for row in report["rows"]}[language]
    assert row["held_out"]
    assert row["tokens_per_word_after"] * 2 <= row["tokens_per_word_before"]
    assert row["bytes_per_token_after"] >= 2 * row["bytes_per_token_before"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_new_piece_is_reached_from_its_text(pairs, expanded, family):
    old, new = pairs[family]
    fresh = [token for token in new.get_vocab() if token not in old.get_vocab()]
    backend = new.backend_tokenizer
    assert len(fresh) > 200
    for token in fresh:
        if token.startswith("<|reserved_"):
            assert new.tokenize("a" + token)[-1] == token
        else:
            assert [t.value for t in backend.model.tokenize(token)] == [token]


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=300, deadline=None)
@given(text=st.text(st.characters(max_codepoint=0x24F, exclude_categories=["Cs"])))
def test_latin_text_without_new_letters_is_cut_as_before(bases, distinct, family, text):
    """`distinct`, English and its neighbours: no text without an added letter may change, seen or unseen."""
    old, new = (tokenizer_of(folder) for folder in (bases[family], distinct[family][0]))
    added = {char for phrase in PHRASES.values() for char in phrase if char not in PHRASES["eng_Latn"]}
    added -= set(string.ascii_lowercase)
    if not added & set(text):
        assert ids_of(new, text) == ids_of(old, text)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=300, deadline=None)
@given(text=st.lists(st.sampled_from(LETTERS), max_size=40).map("".join))
def test_any_text_round_trips(pairs, family, text):
    new = pairs[family][1]
    assert new.decode(ids_of(new, text)) == text


@settings(max_examples=300, deadline=None)
@given(text=st.lists(st.sampled_from(LETTERS), max_size=40).map("".join))
def test_both_files_of_a_grown_sentencepiece_give_equal_ids(expanded, pairs, text):
    sp = sentencepiece_of(expanded["sentencepiece"][0])
    assert sp.encode(text) == ids_of(pairs["sentencepiece"][1], text)


def test_both_files_agree_on_documents(expanded, pairs):
    sp = sentencepiece_of(expanded["sentencepiece"][0])
    for text in [MIXED, *everything()]:
        assert sp.encode(text) == ids_of(pairs["sentencepiece"][1], text)
    assert sp.vocab_size() == len(pairs["sentencepiece"][1])


def sentencepiece_of(folder):
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))


def test_equal_input_gives_equal_bytes(bases, corpus, tmp_path, expanded):
    run_stage(
        STAGE,
        tmp_path / "again",
        {"base": bases["sentencepiece"], "documents": corpus},
        num_new_tokens=900,
        pad_to_multiple=64,
    )
    first = expanded["sentencepiece"][0]
    for file in first.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


def test_parked_scores_do_not_collapse_the_new_ones(bases, corpus, tmp_path):
    """Llama 2 keeps blank runs at −1e9, where float32 numbers lie 64 apart: counting down from there gives ties."""
    assert np.float32(-1e9) - np.float32(1) == np.float32(-1e9)
    raw = (bases["sentencepiece"] / "tokenizer.model").read_bytes()
    proto = parse_model(raw, where="test")
    proto.pieces[-1].score = proto.pieces[-2].score = -1e9
    (tmp_path / "base").mkdir()
    write_folder(proto.SerializeToString(), tmp_path / "base")
    run_stage(STAGE, tmp_path / "out", {"base": tmp_path / "base", "documents": corpus}, num_new_tokens=300)
    grown = parse_model((tmp_path / "out/tokenizer.model").read_bytes(), where="test")
    scores = [piece.score for piece in grown.pieces[len(proto.pieces) :] if piece.type == 1]
    assert len(scores) > 200
    assert all(a > b for a, b in itertools.pairwise(scores))
    assert scores[0] < min(piece.score for piece in proto.pieces if piece.score > -1e8)
    sp, hf = sentencepiece_of(tmp_path / "out"), load_tokenizer(tmp_path / "out")
    assert all(sp.encode(text) == ids_of(hf, text) for text in [MIXED, *make_texts("khm_Khmr")])


def test_verified_mode_adds_plain_latin_and_still_keeps_english(bases, corpus, tmp_path):
    metrics = run_stage(
        STAGE,
        tmp_path / "out",
        {"base": bases["sentencepiece"], "documents": corpus},
        shared_script="verified",
        languages=["ind_Latn"],
        num_new_tokens=60,
        pad_to_multiple=1,
    )
    old, new = load_tokenizer(bases["sentencepiece"]), load_tokenizer(tmp_path / "out")
    assert metrics["new_tokens_by_language"]["ind_Latn"] > 20
    assert all(ids_of(old, text) == ids_of(new, text) for text in make_texts("eng_Latn"))
    before, after = metrics["fertility"]["ind_Latn"]
    assert after < before


def test_budgets_scripts_and_length_are_obeyed(bases, corpus, tmp_path):
    metrics = run_stage(
        STAGE,
        tmp_path / "out",
        {"base": bases["byte_level"], "documents": corpus},
        budgets={"th": 40},
        scripts=["Thai", "Laoo"],
        num_new_tokens=100,
        max_piece_chars=3,
        pad_to_multiple=1,
    )
    counts = metrics["new_tokens_by_language"]
    assert set(counts) == {"tha_Thai", "lao_Laoo"}
    assert counts["tha_Thai"] <= 40
    assert sum(counts.values()) <= 100
    old, new = load_tokenizer(bases["byte_level"]), load_tokenizer(tmp_path / "out")
    for token in set(new.get_vocab()) - set(old.get_vocab()):
        assert len(new.backend_tokenizer.decoder.decode([token]).strip()) <= 3


def test_keep_leaves_the_word_expression(bases, corpus, tmp_path):
    run_stage(
        STAGE,
        tmp_path / "out",
        {"base": bases["byte_level"], "documents": corpus},
        num_new_tokens=200,
        pretokenizer="keep",
    )
    spec = [
        json.loads((f / "tokenizer.json").read_text("utf-8"))["pre_tokenizer"]
        for f in (bases["byte_level"], tmp_path / "out")
    ]
    assert spec[0] == spec[1]


def test_a_bare_model_from_outside_will_do(bases, corpus, tmp_path):
    model = bases["sentencepiece"] / "tokenizer.model"
    run_stage(STAGE, tmp_path / "out", {"base": model, "documents": corpus}, num_new_tokens=200, chat_template="chatml")
    assert load_tokenizer(tmp_path / "out").chat_template
    kind = STAGE.kind(parse_params(Params, {}, where=""), {"base": ["tokenizer"]})
    assert kind == "tokenizer"
    assert STAGE.kind(None, {"base": ["external"]}) == "checkpoint"


def test_chats_in_an_unknown_language_are_passed_over_and_licences_reported(bases, tmp_path):
    text = write_corpus(tmp_path / "all.jsonl", ["eng_Latn", "tha_Thai"])
    chat = {"prompt": "เรือล่องไปตามแม่น้ำ", "response": "ตลาดเปิดแต่เช้า"}
    rows = [{**chat, "language": "xx", "license": "MIT"}, {**chat, "language": "th", "license": "CC0-1.0"}]
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    given = {"base": bases["byte_level"], "documents": text, "conversations": tmp_path / "chats.jsonl"}
    metrics = run_stage(STAGE, tmp_path / "out", given, num_new_tokens=100)
    assert metrics["licenses"] == ["CC0-1.0"]


def test_impossible_wishes_say_why(bases, tmp_path):
    english = write_corpus(tmp_path / "en.jsonl", ["eng_Latn"])
    with pytest.raises(StageError, match="no language to add"):
        run_stage(STAGE, tmp_path / "a", {"base": bases["byte_level"], "documents": english})
    (tmp_path / "bare.txt").write_text("no language here\n")
    with pytest.raises(StageError, match="says its language"):
        run_stage(STAGE, tmp_path / "b", {"base": bases["byte_level"], "documents": tmp_path / "bare.txt"})
    thai = write_corpus(tmp_path / "th.jsonl", ["tha_Thai"])
    with pytest.raises(StageError, match="no document in"):
        run_stage(STAGE, tmp_path / "c", {"base": bases["byte_level"], "documents": thai}, languages=["khm"])
    values = {"min_frequency": 10**6, "character_coverage": 0.0}
    with pytest.raises(StageError, match="min_frequency"):
        run_stage(STAGE, tmp_path / "d", {"base": bases["byte_level"], "documents": thai}, **values)


def test_without_held_out_documents_all_text_is_learned_from(bases, tmp_path):
    """A word that only the twentieth document holds gets its piece when none is held out, and not otherwise."""
    lines = [*make_texts("lao_Laoo")[:19], "ສະບາຍດີ " * 40]
    table = tmp_path / "lao.jsonl"
    table.write_text(
        "\n".join(json.dumps({"text": t, "language": "lao_Laoo"}, ensure_ascii=False) for t in lines), "utf-8"
    )
    sizes = {}
    for hold_out in (0, 20):
        given = {"base": bases["byte_level"], "documents": table}
        out = tmp_path / str(hold_out)
        run_stage(STAGE, out, given, num_new_tokens=300, pad_to_multiple=1, min_frequency=2, hold_out=hold_out)
        sizes[hold_out] = len(ids_of(load_tokenizer(out), " ສະບາຍດີ"))
        (row,) = json.loads((out / "fertility.json").read_text("utf-8"))["rows"]
        assert row["held_out"] == bool(hold_out)
    assert sizes[0] == 1 < sizes[20]
