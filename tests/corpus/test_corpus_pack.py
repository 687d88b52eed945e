"""Packing loses and invents no token; seeded dropout changes how a text is cut and never the text."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from sampan.artifacts.conversations import Conversation, write_conversations
from sampan.artifacts.documents import Document, write_documents
from sampan.artifacts.tokens import read_tokens
from sampan.core.errors import RecipeError
from sampan.core.stage import Artifact
from sampan.corpus.bpe_dropout import DropoutEncoder
from sampan.model.chat import write_template
from sampan.model.sentencepiece_bpe import build_tokenizer

TEXTS = [
    "the ferry leaves the pier at six and the dog waits for the ferry",
    "ฝนตกหนักตั้งแต่เช้า ชาวบ้านย้ายตลาดเข้าไปในศาลาวัด",
    "ເຮືອຂ້າມຟາກອອກຕອນຫົກໂມງ",
    "កប៉ាល់ចេញនៅម៉ោងប្រាំមួយ។",
]
SPECIALS = ("<unk>", "<s>", "</s>", "<|im_start|>")


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIALS[1:]),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def sentencepiece():
    pieces = [(name, 0.0) for name in SPECIALS] + [(f"<0x{b:02X}>", 0.0) for b in range(256)]
    normal = ["▁the", "▁t", "he", "er", "▁fer", "ry", "▁f", "ก", "า", "กา", "▁", *"abcdefghijklmnopqrstuvwxyz"]
    pieces += [(piece, -float(n)) for n, piece in enumerate(normal)]
    mergeable = [n >= len(SPECIALS) + 256 for n in range(len(pieces))]
    return build_tokenizer(pieces, unk="<unk>", specials=SPECIALS, mergeable=mergeable)


TOKENIZERS = {"byte_level": byte_level(), "sentencepiece": sentencepiece()}


@pytest.fixture(scope="module", params=TOKENIZERS)
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    TOKENIZERS[request.param].save(str(path / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    write_template(path, "seallm-v2")
    return path


@pytest.fixture
def documents(tmp_path):
    (tmp_path / "docs").mkdir()
    languages = ["eng_Latn", "tha_Thai", "lao_Laoo", "khm_Khmr"]
    write_documents(
        tmp_path / "docs",
        [Document(str(n), t, language=c) for n, (t, c) in enumerate(zip(TEXTS, languages, strict=True))],
    )
    return Artifact(path=tmp_path / "docs", kind="documents", digest="0" * 64, name="docs")


@pytest.fixture
def chats(tmp_path):
    (tmp_path / "chats").mkdir()
    messages = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "dog", "train": False}]
    messages += [{"role": "user", "content": "the dog"}, {"role": "assistant", "content": "waits"}]
    write_conversations(tmp_path / "chats", [Conversation(id="c", messages=messages, language="eng_Latn")])
    return Artifact(path=tmp_path / "chats", kind="conversations", digest="0" * 64, name="chats")


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", [*TEXTS, "", "  two  spaces ", "x<s>y</s>", "😀 กาก ther"])
def test_without_dropout_the_ids_are_the_librarys(name, text):
    tokenizer = TOKENIZERS[name]
    assert DropoutEncoder(tokenizer, 0.0).encode(text, "s") == tokenizer.encode(text, add_special_tokens=False).ids


@settings(max_examples=80, deadline=None)
@given(
    st.text("the ferry กา\nx😀", max_size=60),
    st.sampled_from(sorted(TOKENIZERS)),
    st.floats(0, 0.99),
    st.integers(0, 9),
)
def test_dropout_never_changes_the_text(text, name, dropout, seed):
    tokenizer = TOKENIZERS[name]
    encoder = DropoutEncoder(tokenizer, dropout)
    ids = encoder.encode(text, str(seed))
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids) == tokenizer.decode(plain)
    assert ids == encoder.encode(text, str(seed))
    assert ids == plain or dropout > 0


@pytest.mark.parametrize("name", TOKENIZERS)
def test_dropout_cuts_differently_by_seed_and_keeps_special_tokens(name):
    tokenizer = TOKENIZERS[name]
    encoder = DropoutEncoder(tokenizer, 0.3)
    cuts = [tuple(encoder.encode(TEXTS[0] + "</s>", str(seed))) for seed in range(5)]
    assert len(set(cuts)) > 1
    assert all(ids.count(tokenizer.token_to_id("</s>")) == 1 for ids in cuts)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_dropout_works_in_a_long_run_without_spaces(name):
    """A pair left out must not come back at the next merge elsewhere in the run: a third of 100 pairs stays apart."""
    tokenizer, run = TOKENIZERS[name], "กา" * 100
    plain = len(tokenizer.encode(run, add_special_tokens=False).ids)
    dropped = len(DropoutEncoder(tokenizer, 0.33).encode(run, "0"))
    assert dropped >= 1.15 * plain


def test_dropout_needs_bpe():
    with pytest.raises(RecipeError, match="BPE"):
        DropoutEncoder(Tokenizer(models.WordLevel({"a": 0}, "a")), 0.1)
    with pytest.raises(RecipeError, match="below 1"):
        DropoutEncoder(TOKENIZERS["byte_level"], 1.0)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_shards_hold_every_document(folder, documents, run_stage, dropout):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    params = {"bpe_dropout": dropout, "repeat": 2}
    metrics, made = run_stage("corpus.pack", params, {"documents": [documents], "tokenizer": [folder]})
    shards = read_tokens(made)
    assert len(shards) == 2 * len(TEXTS)
    for number in range(len(shards)):
        ids, mask = shards.document(number)
        assert (ids[0], ids[-1]) == (tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>"))
        assert tokenizer.decode(ids[1:-1].tolist()) == TEXTS[number % len(TEXTS)]
        assert mask.all()
    assert metrics["tokens"] == len(shards.ids) == sum(c["tokens"] for c in metrics["by_stream"].values())
    assert metrics["text_bytes"] == 2 * sum(len(t.encode()) for t in TEXTS)
    assert [shards.stream_names[s] for s in shards.streams[:4]] == ["eng_Latn", "tha_Thai", "lao_Laoo", "khm_Khmr"]
    _, again = run_stage("corpus.pack", params, {"documents": [documents], "tokenizer": [folder]})
    assert again.digest == made.digest
    if dropout:
        first, second = (shards.document(n)[0] for n in (0, len(TEXTS)))
        assert not np.array_equal(first, second), "each repeat draws anew"


def test_conversations_are_masked_and_streams_can_be_named(folder, documents, chats, run_stage):
    inputs = {"documents": [documents], "conversations": [chats], "tokenizer": [folder]}
    metrics, made = run_stage("corpus.pack", {"stream_name": "mix"}, inputs)
    shards = read_tokens(made)
    assert shards.stream_names == ["mix"]
    ids, mask = shards.document(len(TEXTS))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.decode(ids[mask == 1].tolist(), skip_special_tokens=True).strip() == "waits"
    assert 0 < mask.sum() < len(mask)
    assert metrics["trained_tokens"] == metrics["tokens"] - int((mask == 0).sum())


def test_ids_above_the_number_of_pieces_fit(documents, run_stage, tmp_path):
    raw = json.loads(byte_level().to_str())
    raw["added_tokens"].append({**raw["added_tokens"][0], "id": 70_000, "content": "<far>"})
    raw["model"]["vocab"]["<far>"] = 70_000
    (tmp_path / "gaps").mkdir()
    (tmp_path / "gaps" / "tokenizer.json").write_text(json.dumps(raw))
    (tmp_path / "far.txt").write_text("the <far> dog")
    params = {"add_bos": False, "add_eos": False}
    inputs = {"documents": [tmp_path / "far.txt"], "tokenizer": [tmp_path / "gaps"]}
    _, made = run_stage("corpus.pack", params, inputs)
    assert 70_000 in read_tokens(made).document(0)[0]
    assert json.loads((made.path / "index.json").read_text())["vocab_size"] == 70_001


def test_licences_of_rows_from_outside_are_reported(folder, run_stage, tmp_path):
    rows = [{"text": "the dog", "license": name} for name in ("MIT", "", "CC0-1.0", "MIT")]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "chats.jsonl").write_text('{"prompt": "the dog", "response": "waits", "license": "CC-BY-4.0"}')
    inputs = {"documents": [tmp_path / "rows.jsonl"], "conversations": [tmp_path / "chats.jsonl"]}
    metrics, _ = run_stage("corpus.pack", {}, {**inputs, "tokenizer": [folder]})
    assert metrics["licenses"] == ["CC-BY-4.0", "CC0-1.0", "MIT"]


def test_bos_and_eos_can_be_left_out(folder, documents, run_stage):
    params = {"add_bos": False, "add_eos": False}
    _, made = run_stage("corpus.pack", params, {"documents": [documents], "tokenizer": [folder]})
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert read_tokens(made).document(0)[0].tolist() == tokenizer.encode(TEXTS[0], add_special_tokens=False).ids


def test_errors(folder, documents, run_stage, tmp_path):
    with pytest.raises(RecipeError, match="documents, conversations or both"):
        run_stage("corpus.pack", {}, {"tokenizer": [folder]})
    (tmp_path / "no_eos").mkdir()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken("<x>", special=True)])
    tokenizer.save(str(tmp_path / "no_eos" / "tokenizer.json"))
    (tmp_path / "no_eos" / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    with pytest.raises(RecipeError, match="no EOS"):
        run_stage("corpus.pack", {}, {"documents": [documents], "tokenizer": [tmp_path / "no_eos"]})


def test_streams_by_language_and_quality(folder, run_stage, tmp_path):
    (tmp_path / "documents").mkdir()
    rows = [("tha_Thai", "high"), ("tha_Thai", "low"), ("tha_Thai", ""), ("", "high")]
    write_documents(
        tmp_path / "documents",
        (Document(id=f"d{n}", text="the ferry", language=code, quality=q) for n, (code, q) in enumerate(rows)),
    )
    inputs = {"documents": [tmp_path / "documents"], "tokenizer": [folder]}
    _, made = run_stage("corpus.pack", {"stream_by": "language_and_quality"}, inputs)
    assert read_tokens(made).stream_names == ["tha_Thai/high", "tha_Thai/low", "tha_Thai", "und/high"]
    _, plain = run_stage("corpus.pack", {}, inputs)
    assert read_tokens(plain).stream_names == ["tha_Thai", "und"]
