"""vocab.train and vocab.import: the same ids from tokenizer.model and tokenizer.json, and from other readers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vocab_corpora import MIXED, PHRASES, everything, run_stage, write_corpus

from sampan.core.errors import InputError, RecipeError, StageError
from sampan.model import byte_letters
from sampan.model.chat import render
from sampan.model.tokenizer import load_tokenizer
from sampan.vocab.adopt import STAGE as IMPORT
from sampan.vocab.train import STAGE as TRAIN

LETTERS = sorted(set("ab  ▁cdXY12\n\t" + "".join(PHRASES.values()).replace("|", "") + "😀é中"))
TEXT = st.lists(st.sampled_from(LETTERS) | st.sampled_from([" ", "  ", "the", " river"]), max_size=30).map("".join)


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory, corpus):
    out = tmp_path_factory.mktemp("train") / "multilingual"
    metrics = run_stage(TRAIN, out, {"documents": corpus}, vocab_size=900)
    assert metrics["vocab_size"] == 900
    return out


@pytest.fixture(scope="module")
def readers(multilingual):
    """The same vocabulary read by SentencePiece and by transformers."""
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(multilingual / "tokenizer.model")), load_tokenizer(
        multilingual
    )


def test_sentencepiece_and_transformers_agree_on_every_language(readers):
    sp, hf = readers
    for text in [
        MIXED,
        "",
        " ",
        "   ",
        " lead",
        "trail ",
        "a" * 50,
        " " * 33 + "x",
        *everything(),
    ]:
        assert hf(text, add_special_tokens=False)["input_ids"] == sp.encode(text), text
    assert len(hf) == sp.vocab_size()


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_sentencepiece_and_transformers_agree_on_any_text(readers, text):
    sp, hf = readers
    ids = hf(text, add_special_tokens=False)["input_ids"]
    assert ids == sp.encode(text)
    # U+2581 stands for a blank inside SentencePiece and always comes back as one.
    assert hf.decode(ids) == sp.decode(ids) == text.replace("▁", " ")


def test_marker_is_one_token_in_both_and_adds_no_blank(readers):
    sp, hf = readers
    text = "the boat<|im_start|>user\nriver"
    assert hf(text, add_special_tokens=False)["input_ids"] == sp.encode(text)
    assert hf.tokenize(text).count("<|im_start|>") == 1
    conversation = [{"role": "user", "content": "เรือ"}, {"role": "assistant", "content": "the boat"}]
    ids, mask = render(hf, conversation)
    assert hf.decode(ids) == "<s><|im_start|>user\nเรือ</s><|im_start|>assistant\nthe boat</s>"
    assert hf.decode([i for i, m in zip(ids, mask, strict=True) if m]) == "the boat</s>"


@pytest.mark.parametrize("family", ["sentencepiece", "byte_level"])
def test_equal_input_gives_equal_bytes(tmp_path, corpus, family):
    for name in ("one", "two"):
        run_stage(TRAIN, tmp_path / name, {"documents": corpus}, family=family, vocab_size=700)
    files = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert "tokenizer.json" in files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_repaired_words_keep_marks_and_llama3_words_do_not(tmp_path, corpus):
    word = "เช้า"
    kept = byte_letters.pre_tokenizer(byte_letters.REPAIRED).pre_tokenize_str(word)
    cut = byte_letters.pre_tokenizer(byte_letters.LLAMA3).pre_tokenize_str(word)
    assert (len(kept), len(cut)) == (1, 2)
    run_stage(TRAIN, tmp_path / "byte", {"documents": corpus}, family="byte_level", vocab_size=900)
    hf = load_tokenizer(tmp_path / "byte")
    assert hf.decode(hf(MIXED)["input_ids"]) == MIXED


def test_languages_filter_accepts_short_codes(tmp_path):
    text = write_corpus(tmp_path / "two.jsonl", ["eng_Latn", "tha_Thai"])
    metrics = run_stage(TRAIN, tmp_path / "en", {"documents": text}, vocab_size=340, languages=["en"])
    assert metrics["documents"] == 60
    assert "เ" not in load_tokenizer(tmp_path / "en").get_vocab()
    with pytest.raises(RecipeError):
        run_stage(TRAIN, tmp_path / "xx", {"documents": text}, languages=["xx"])


def test_licences_of_the_documents_used_are_reported(tmp_path):
    rows = [json.loads(line) for line in write_corpus(tmp_path / "a.jsonl", ["eng_Latn", "tha_Thai"]).open()]
    licenses = {"eng_Latn": "MIT", "tha_Thai": "CC0-1.0"}
    text = tmp_path / "b.jsonl"
    text.write_text("".join(json.dumps({**row, "license": licenses[row["language"]]}) + "\n" for row in rows))
    metrics = run_stage(TRAIN, tmp_path / "en", {"documents": text}, vocab_size=340, languages=["en"])
    assert metrics["licenses"] == ["MIT"]


def test_too_little_text_says_so(tmp_path):
    (tmp_path / "tiny.txt").write_text("one line\n")
    with pytest.raises(StageError, match="vocab_size"):
        run_stage(TRAIN, tmp_path / "out", {"documents": tmp_path / "tiny.txt"}, vocab_size=8000)


def test_import_of_a_bare_model_equals_the_trained_folder(tmp_path, multilingual):
    given = {"files": multilingual / "tokenizer.model"}
    metrics = run_stage(IMPORT, tmp_path / "out", given, chat_template="chatml", license="Apache-2.0")
    assert metrics["licenses"] == ["Apache-2.0"]
    assert (tmp_path / "out/tokenizer.json").read_bytes() == (multilingual / "tokenizer.json").read_bytes()
    assert "im_end" in load_tokenizer(tmp_path / "out").chat_template


def test_import_of_ranks_equals_tiktoken_rules(tmp_path):
    """Any neighbouring pair whose concatenation has a rank is joined, lowest rank first (worked by hand)."""
    import base64

    tokens = [bytes([b]) for b in range(256)] + [b"he", b"ll", b"llo", b"hello"]
    lines = [base64.b64encode(token) + f" {rank}\n".encode() for rank, token in enumerate(tokens)]
    (tmp_path / "x.tiktoken").write_bytes(b"".join(lines))
    with pytest.raises(InputError, match="pretokenizer"):
        run_stage(IMPORT, tmp_path / "no", {"files": tmp_path / "x.tiktoken"})
    run_stage(IMPORT, tmp_path / "out", {"files": tmp_path / "x.tiktoken"}, pretokenizer="gpt2")
    hf = load_tokenizer(tmp_path / "out")
    assert hf("hello")["input_ids"] == [259]
    assert hf("jellohe")["input_ids"] == [ord("j"), ord("e"), 258, 256]


NO_TOKENIZERS = [b"", b"hello", b"\x0a\x05\xff\xff", b"YQ== 0\nYQ== 1\n", b"YQ== 0\nYg== 5\n", b"YQ== 0\n!!\n"]


@pytest.mark.parametrize("raw", NO_TOKENIZERS)
def test_import_refuses_what_is_no_tokenizer(tmp_path, raw):
    (tmp_path / "bad.model").write_bytes(raw)
    with pytest.raises(InputError):
        run_stage(IMPORT, tmp_path / "out", {"files": tmp_path / "bad.model"})


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "file", "golden"),
    [
        ("llama2", "tokenizer.model", "ggml-vocab-llama-spm"),
        ("llama3", "tokenizer.model", "ggml-vocab-llama-bpe"),
        ("qwen", "qwen.tiktoken", "ggml-vocab-qwen2"),
    ],
)
def test_import_reproduces_golden_ids(tmp_path, shared, folder, file, golden):
    root = shared / "data/tokenizers" / folder
    run_stage(IMPORT, tmp_path / "out", {"files": root / file})
    hf = load_tokenizer(tmp_path / "out")
    texts = (root / f"{golden}.gguf.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    wanted = [[int(i) for i in line.split()] for line in (root / f"{golden}.gguf.out").read_text().split("\n")]
    assert len(texts) == len(wanted) > 40
    for text, ids in zip(texts, wanted, strict=True):
        assert hf(text, add_special_tokens=False)["input_ids"] == ids, repr(text)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["llama2", "open_llama"])
def test_import_reproduces_sentencepiece_on_blanks(tmp_path, shared, name):
    """Llama 2 parks its blank runs at one equal score and OpenLLaMA strips blanks: both must be copied."""
    import sentencepiece

    model = shared / "data/tokenizers" / name / "tokenizer.model"
    run_stage(IMPORT, tmp_path / "out", {"files": model})
    sp, hf = sentencepiece.SentencePieceProcessor(model_file=str(model)), load_tokenizer(tmp_path / "out")
    for blanks in range(70):
        for text in (" " * blanks, "a" + " " * blanks + "b", " " * blanks + "b", "a" + " " * blanks):
            assert hf(text, add_special_tokens=False)["input_ids"] == sp.encode(text), repr(text)
