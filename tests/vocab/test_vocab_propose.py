"""vocab.propose: pieces of a target vocabulary by Algorithm 1, and word lists, as a stage."""

from __future__ import annotations

import base64
import json

import pytest
from vocab_corpora import PHRASES, everything, make_texts, run_stage, write_corpus

from sampan.core.errors import InputError, RecipeError, SampanError, StageError
from sampan.core.stage import Artifact
from sampan.vocab.growth import open_growth
from sampan.vocab.proposals import read_proposals
from sampan.vocab.propose import STAGE
from sampan.vocab.propose_apply import add_pieces
from sampan.vocab.proposing import shares
from sampan.vocab.target_vocabulary import read_target
from sampan.vocab.verify import check_reachable, check_round_trip

TOY = {"ab", "abc", "abcd", "cd", "de"}
FAMILIES = ["sentencepiece", "byte_level"]


def propose(folder, base, **given):
    """(piece → count, language), metrics of one run on files by role and params."""
    files = {role: given.pop(role) for role in ("target", "documents", "words") if role in given}
    metrics = run_stage(STAGE, folder, {"base": base, **files}, **given)
    source = Artifact(path=folder, kind="pieces", digest="", name="pieces")
    return {item.piece: (item.count, item.language) for item in read_proposals([source])}, metrics


def write_target(path, pieces):
    """A Unigram tokenizer.json with these pieces, as another library would save it."""
    from tokenizers import Tokenizer, models

    names = [piece.replace(" ", "▁") for piece in sorted(pieces)]
    Tokenizer(models.Unigram([(name, -1.0) for name in ["<unk>", *names]], unk_id=0)).save(str(path))
    return path


def write_documents(path, texts, language):
    rows = [{"text": text, "language": language} for text in texts]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """A SentencePiece-like base that knows the letters a to e and the blank, and bytes."""
    from sampan.model.sentencepiece_bpe import build_tokenizer

    folder = tmp_path_factory.mktemp("letters")
    names = ["<unk>", *[f"<0x{n:02X}>" for n in range(256)], "▁", *"abcde"]
    build_tokenizer([(name, 0.0) for name in names], unk="<unk>", specials=["<unk>"]).save(
        str(folder / "tokenizer.json")
    )
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A target vocabulary: every word of our languages with all its beginnings."""
    found = set()
    for phrases in PHRASES.values():
        for word in phrases.replace("|", " ").split():
            found |= {word[:end] for end in range(1, len(word) + 1)} | {f" {word}"}
    return write_target(tmp_path_factory.mktemp("target") / "tokenizer.json", found)


@pytest.mark.parametrize(
    ("counting", "counts"),
    [("corrected", {"ab": 8, "abc": 5, "abcd": 5, "de": 1}), ("literal", {"ab": 1, "abc": 1, "abcd": 1, "de": 1})],
)
def test_the_toy_corpus(tmp_path, letters, counting, counts):
    target = write_target(tmp_path / "toy.json", TOY)
    documents = write_documents(tmp_path / "toy.jsonl", ["abcd"] * 5 + ["ab"] * 3 + ["de"], "ind_Latn")
    given = {"target": target, "documents": documents, "counting": counting}
    found, _ = propose(tmp_path / "all", letters, **given, min_frequency=1)
    assert found == {piece: (count, "ind_Latn") for piece, count in counts.items()}
    frequent, metrics = propose(tmp_path / "five", letters, **given, min_frequency=5)
    assert set(frequent) == {piece for piece, count in counts.items() if count >= 5}
    assert metrics["left_out"] == {"below_min_frequency": sum(count < 5 for count in counts.values())}


@pytest.mark.parametrize("family", FAMILIES)
def test_proposed_pieces_shorten_text_that_was_bytes(tmp_path, bases, words, corpus, family):
    found, metrics = propose(tmp_path / "pieces", bases[family], target=words, documents=corpus)
    assert {language for _, language in found.values()} == set(PHRASES) - {"eng_Latn"}
    assert metrics["pieces"] == len(found) > 100
    assert "ទូក" in found  # Khmer, of which the base knows bytes only
    growth = open_growth(bases[family], scripts=["Thai", "Khmr", "Laoo", "Mymr", "Taml"])
    source = Artifact(path=tmp_path / "pieces", kind="pieces", digest="", name="pieces")
    out = add_pieces(growth, read_proposals([source]), budget=10_000)
    assert out.added == len(found) - out.left_out.total()
    after = growth.build()
    check_reachable(growth, after)
    check_round_trip(growth.original, after, everything())
    for language in ("khm_Khmr", "tha_Thai", "tam_Taml"):
        before, now = (
            sum(len(item.ids) for item in tokenizer.encode_batch(make_texts(language), add_special_tokens=False))
            for tokenizer in (growth.original, after)
        )
        assert now * 4 <= before  # a byte or a letter each before, parts of words now


def test_the_order_of_documents_does_not_matter(tmp_path, bases, words, corpus):
    turned = tmp_path / "turned.jsonl"
    turned.write_text("\n".join(reversed(corpus.read_text("utf-8").splitlines())), encoding="utf-8")
    propose(tmp_path / "one", bases["sentencepiece"], target=words, documents=corpus)
    propose(tmp_path / "two", bases["sentencepiece"], target=words, documents=turned)
    assert (tmp_path / "one" / "pieces.jsonl").read_bytes() == (tmp_path / "two" / "pieces.jsonl").read_bytes()


def test_english_pieces_do_not_slip_in(tmp_path, letters):
    target = write_target(tmp_path / "target.json", {"ab", "cd", "abcd"})
    documents = tmp_path / "both.jsonl"
    rows = [("abcd abcd cd", "ind_Latn"), ("ab ab ab ab", "eng_Latn")]
    documents.write_text("".join(json.dumps({"text": t, "language": c}) + "\n" for t, c in rows), encoding="utf-8")
    given = {"target": target, "documents": documents, "min_frequency": 1}
    found, metrics = propose(tmp_path / "kept", letters, **given)
    assert set(found) == {"abcd", "cd"}
    assert metrics["left_out"]["in_kept_languages"] == 1
    free, _ = propose(tmp_path / "free", letters, **given, max_kept_rate=100.0)
    assert "ab" in free


def test_budgets_are_kept_and_what_one_leaves_goes_to_the_others(tmp_path, bases, words, corpus):
    given = {"target": words, "documents": corpus, "num_new_tokens": 60, "budgets": {"tha_Thai": 7}}
    found, metrics = propose(tmp_path / "few", bases["sentencepiece"], **given)
    assert metrics["pieces_by_language"]["tha_Thai"] == 7
    assert len(found) == 60
    assert metrics["left_out"]["over_budget"] > 0
    thai = [count for count, language in found.values() if language == "tha_Thai"]
    assert thai == sorted(thai, reverse=True)


def test_shares_never_pass_the_total():
    from sampan.core.params import parse_params

    params = parse_params(STAGE.params, {"num_new_tokens": 100, "budgets": {"tha_Thai": 80}}, where="test")
    wanted = {"tha_Thai": 90, "lao_Laoo": 3, "khm_Khmr": 500}
    assert shares(params, wanted, taken=0) == {"tha_Thai": 80, "lao_Laoo": 3, "khm_Khmr": 17}
    assert shares(params, wanted, taken=90) == {"tha_Thai": 10, "lao_Laoo": 0, "khm_Khmr": 0}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_vocabulary_that_is_there_already_proposes_nothing(tmp_path, bases, corpus, family):
    found, metrics = propose(tmp_path / "same", bases[family], target=bases[family], documents=corpus, min_frequency=1)
    assert found == {}
    assert metrics["pieces"] == 0


def test_word_lists(tmp_path, bases):
    thai = tmp_path / "thai.txt"
    thai.write_text("# a comment\nตลาด\t3\nเรือ\t9\n\nตลาด\n", encoding="utf-8-sig")
    found, _ = propose(tmp_path / "th", bases["sentencepiece"], words=thai, words_language="th")
    assert found == {"เรือ": (9, "tha_Thai"), "ตลาด": (4, "tha_Thai")}
    assert list(found) == ["เรือ", "ตลาด"]
    spaced = tmp_path / "indonesian.txt"
    spaced.write_text("perahu\nnasi\nthe\n", encoding="utf-8")
    found, metrics = propose(tmp_path / "id", bases["sentencepiece"], words=spaced, words_language="ind_Latn")
    assert list(found) == [" perahu", " nasi"]
    assert metrics["left_out"] == {"already_held": 1}
    given = {"words": spaced, "words_language": "ind_Latn", "words_begin": "bare", "num_new_tokens": 2}
    found, metrics = propose(tmp_path / "bare", bases["sentencepiece"], **given)
    assert list(found) == ["perahu", "nasi"]


def test_a_target_is_read_from_every_file_format(tmp_path, bases):
    from sampan.model import byte_letters
    from sampan.vocab.from_tiktoken import parse_ranks

    growth = open_growth(bases["byte_level"], scripts=())
    special = {token["content"] for token in growth.base["added_tokens"]}
    raws = [byte_letters.unspell(token) for token in growth.base["model"]["vocab"] if token not in special]
    ranks = tmp_path / "ranks.tiktoken"
    ranks.write_bytes(b"".join(base64.b64encode(raw) + b" %d\n" % rank for rank, raw in enumerate(raws)))
    assert parse_ranks(ranks.read_bytes(), where="") == raws
    assert read_target(ranks) == read_target(bases["byte_level"]) >= {" the", "a"}
    model = bases["sentencepiece"] / "tokenizer.model"
    assert read_target(model) == read_target(bases["sentencepiece"] / "tokenizer.json") >= {" the", "a"}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({}, RecipeError, "target"),
        ({"target": "base"}, RecipeError, "documents"),
        ({"words": "words"}, RecipeError, "words_language"),
        ({"words": "counts", "words_language": "tha_Thai"}, InputError, "many' is not a count"),
        ({"words": "bytes", "words_language": "tha_Thai"}, InputError, "UTF-8"),
        ({"words": "missing", "words_language": "tha_Thai"}, InputError, "no such word list"),
        ({"target": "bytes", "documents": "corpus"}, InputError, "SentencePiece"),
        ({"target": "words", "documents": "corpus"}, InputError, "SentencePiece"),
        ({"target": "json", "documents": "corpus"}, InputError, "not a tokenizer.json"),
        ({"target": "base", "documents": "corpus", "languages": ["jav_Latn"]}, StageError, "no document in jav_Latn"),
        ({"target": "base", "documents": "english"}, StageError, "no document in a language to propose for"),
    ],
)
def test_bad_input_is_told_clearly(tmp_path, bases, corpus, given, error, says):
    files = {"base": bases["sentencepiece"], "corpus": corpus, "missing": tmp_path / "missing"}
    for name, raw in {
        "words": b"word\n",
        "counts": b"word\tmany\n",
        "bytes": b"\xff\xfe\xff",
        "json": b'{"a": 1}',
    }.items():
        files[name] = tmp_path / f"{name}.txt"
        files[name].write_bytes(raw)
    files["english"] = write_corpus(tmp_path / "english.jsonl", ["eng_Latn"])
    roles = {role: files[name] for role, name in given.items() if role in ("target", "documents", "words")}
    params = {name: value for name, value in given.items() if name not in roles}
    with pytest.raises(error, match=says) as caught:
        propose(tmp_path / "out", bases["sentencepiece"], **roles, **params)
    assert isinstance(caught.value, SampanError)


@pytest.mark.shared
def test_chinese_llamas_pieces_are_all_reached(tmp_path, shared):
    """The published 20k pieces on Llama 2's vocabulary; its own merge leaves some that nothing is cut into."""
    from sampan.vocab.adopt import adopt
    from sampan.vocab.proposals import Proposal

    tokenizers = shared / "data" / "tokenizers"
    adopt(tokenizers / "llama2" / "tokenizer.model", tmp_path)
    growth = open_growth(tmp_path, scripts=["Hani"])
    pieces = read_target(tokenizers / "chinese_llama" / "chinese_sp.model")
    out = add_pieces(growth, [Proposal(piece, "zho_Hans") for piece in sorted(pieces)], budget=20_000)
    assert out.added > 17_900
    assert set(out.left_out) <= {"already_held"}
    check_reachable(growth, growth.build())
