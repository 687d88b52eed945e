"""Pieces of text: detokenising and stop strings."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.core.errors import InputError
from sampan.model.tokenizer import load_tokenizer
from sampan.serve.detokenise import Detokeniser, TokenBytes
from sampan.serve.stops import StopFilter

SAMPLES = ["สวัสดีครับ", "ជំរាបសួរ", "မင်္ဂလာပါ", "ສະບາຍດີ", "வணக்கம்", "xin chào", "你好🙂", " the thin a ", "\n\n", "", " "]


@pytest.fixture(scope="module")
def spm(tokenizer_folder):
    tokenizer = load_tokenizer(tokenizer_folder)
    return tokenizer, TokenBytes(tokenizer)


@pytest.fixture(scope="module")
def byte_level():
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SAMPLES * 3, trainer)
    tokenizer.add_tokens([AddedToken("né", normalized=False)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    return fast, TokenBytes(fast)


def pieces_of(table, ids, *, at_start=True):
    detokeniser = Detokeniser(table, at_start=at_start)
    return [*(detokeniser.push(number) for number in ids), detokeniser.flush()]


@given(parts=st.lists(st.sampled_from(SAMPLES), max_size=6), free=st.text(max_size=10))
@pytest.mark.parametrize("family", ["spm", "byte_level"])
def test_text_comes_back_whole_in_whole_characters(family, request, parts, free):
    tokenizer, table = request.getfixturevalue(family)
    text = "".join(parts) + free.replace("▁", "")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = pieces_of(table, ids)
    assert "".join(pieces) == tokenizer.decode(ids) == text
    assert "�" not in "".join(pieces) or "�" in text


@given(data=st.data())
@pytest.mark.parametrize("family", ["spm", "byte_level"])
def test_any_ids_give_the_replacing_utf8_decoding(family, request, data):
    """Random ids hold broken UTF-8; joined pieces are what Python makes of all the bytes at once."""
    tokenizer, table = request.getfixturevalue(family)
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=30))
    whole = b"".join(table[number] for number in ids).decode("utf-8", "replace")
    assert "".join(pieces_of(table, ids, at_start=False)) == whole


@given(data=st.data())
def test_random_byte_tokens_that_are_utf8_equal_the_tokenizers_decoding(spm, data):
    tokenizer, table = spm
    text = data.draw(st.text(min_size=1, max_size=8).filter(lambda t: t[0] != " "))
    ids = [tokenizer.convert_tokens_to_ids(f"<0x{byte:02X}>") for byte in text.encode()]
    pieces = pieces_of(table, ids)
    assert "".join(pieces) == tokenizer.decode(ids) == text
    assert sum(map(bool, pieces)) == len(text), "each character comes alone, as soon as its last byte is there"


def test_first_space_is_kept_where_text_goes_on(spm):
    tokenizer, table = spm
    ids = tokenizer("the thin", add_special_tokens=False)["input_ids"]
    assert "".join(pieces_of(table, ids)) == "the thin"
    assert "".join(pieces_of(table, ids, at_start=False)) == " the thin"


def test_special_tokens_are_silent(spm):
    tokenizer, table = spm
    ids = [1, *tokenizer("a", add_special_tokens=False)["input_ids"], 2, 10**6]
    assert "".join(pieces_of(table, ids)) == "a"


def test_unknown_decoder_is_refused(tokenizer_folder, tmp_path):
    spec = json.loads((tokenizer_folder / "tokenizer.json").read_text(encoding="utf-8"))
    spec["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_bytes((tokenizer_folder / "tokenizer_config.json").read_bytes())
    with pytest.raises(InputError, match="WordPiece"):
        TokenBytes(load_tokenizer(tmp_path))


@given(
    text=st.text("abน", max_size=24),
    stops=st.lists(st.text("abน", min_size=1, max_size=4), max_size=3),
    cuts=st.lists(st.integers(0, 24), max_size=8),
)
def test_stop_strings_never_leak_however_the_text_is_cut(text, stops, cuts):
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    stop = StopFilter(stops)
    out = [stop.push(text[a:b]) for a, b in pairwise(places)]
    out.append("" if stop.stopped else stop.flush())
    # The first stop to be complete ends the text; it was not there one letter earlier.
    whole = next((text[:end] for end in range(len(text) + 1) if any(s in text[:end] for s in stops)), None)
    joined = "".join(out)
    if whole is None:
        assert joined == text
        assert not stop.stopped
    else:
        assert stop.stopped
        assert not any(s in joined for s in stops)
        assert text.startswith(joined)
        assert len(joined) <= max(whole.rfind(s) for s in stops if s in whole)


def test_held_text_comes_when_it_cannot_stop_any_more():
    stop = StopFilter(["END"])
    assert [stop.push("a E"), stop.push("N"), stop.push("o")] == ["a ", "", "ENo"]
    assert (stop.push("x EN"), stop.flush()) == ("x ", "EN")
