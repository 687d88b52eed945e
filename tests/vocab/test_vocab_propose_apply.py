"""Pieces given from outside: each is reached, in both families, or left out with a reason."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vocab_corpora import PHRASES, everything, make_texts, run_stage

from sampan.core.errors import InputError, RecipeError
from sampan.core.stage import Artifact
from sampan.model.tokenizer import load_tokenizer
from sampan.vocab.expand import STAGE
from sampan.vocab.from_tiktoken import write_folder
from sampan.vocab.growth import open_growth
from sampan.vocab.proposals import FILE, Proposal, read_proposals, write_proposals
from sampan.vocab.propose_apply import _Cutter, add_pieces
from sampan.vocab.verify import check_reachable, check_round_trip

FAMILIES = ["sentencepiece", "byte_level", "tiktoken"]
WORDS = sorted(
    {(" " + word, language) for language, some in PHRASES.items() for word in some.replace("|", " ").split()}
)
PIECES = st.lists(
    st.builds(
        Proposal,
        st.text(
            sorted(set("".join(PHRASES["khm_Khmr"] + PHRASES["tha_Thai"]) + "abe ") - {"|"}), min_size=1, max_size=9
        ),
        st.sampled_from(["khm_Khmr", "tha_Thai"]),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def families(tmp_path_factory, bases):
    """The English-only bases, and the byte-level one's tokens as tiktoken ranks, where every split is a merge."""
    growth = open_growth(bases["byte_level"], scripts=())
    special = {token["content"] for token in growth.base["added_tokens"]}
    tokens = [token for token in growth.base["model"]["vocab"] if token not in special]
    lines = [base64.b64encode(growth.raw(token)) + b" %d\n" % rank for rank, token in enumerate(tokens)]
    folder = tmp_path_factory.mktemp("tiktoken")
    write_folder(b"".join(lines), folder, pattern="llama3")
    return {**bases, "tiktoken": folder}


def grown(families, family):
    return open_growth(families[family], scripts=["Thai", "Khmr", "Laoo", "Mymr", "Taml"])


def tokens_by_merging(growth, tokenizer, piece):
    """The piece cut by merges alone, though a byte-level base may also look whole words up."""
    spec = json.loads(tokenizer.to_str())
    spec["model"]["ignore_merges"] = False
    return growth.tokens(type(tokenizer).from_str(json.dumps(spec)), growth.raw(piece).decode())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_word_of_every_language_becomes_one_token(families, family):
    growth = grown(families, family)
    out = add_pieces(growth, [Proposal(*item) for item in WORDS], budget=10_000)
    assert out.added + out.left_out["already_held"] == len(WORDS)
    assert set(out.left_out) <= {"already_held"}
    after = growth.build()
    check_reachable(growth, after)
    check_round_trip(growth.original, after, everything())
    for piece, _ in WORDS:
        assert tokens_by_merging(growth, after, growth.spell(piece)) == [growth.spell(piece)]


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=25, deadline=None)
@given(pieces=PIECES)
def test_any_pieces_are_reached_or_accounted_for(families, family, pieces):
    growth = grown(families, family)
    out = add_pieces(growth, pieces, budget=10_000)
    check_reachable(growth, growth.build())
    assert out.added + out.left_out.total() == len(pieces)
    assert len(growth.pieces) == out.added + out.characters + out.intermediates
    if family == "sentencepiece":  # nothing cuts its words before merging
        assert set(out.left_out) <= {"already_held", "twice"}


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=25, deadline=None)
@given(pieces=PIECES, text=st.text(sorted(set(PHRASES["tha_Thai"] + PHRASES["eng_Latn"]) - {"|"}), max_size=30))
def test_the_cutter_cuts_as_the_built_tokenizer(families, family, pieces, text):
    growth = grown(families, family)
    add_pieces(growth, [*pieces, *[Proposal(char, "tha_Thai") for char in PHRASES["tha_Thai"]]], budget=10_000)
    if text:
        expected = growth.tokens(growth.bare(), text)
        assert _Cutter(growth).cut(growth.spell(text)) == expected


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("budget", [0, 1, 7, 40])
def test_the_budget_holds(families, family, budget):
    growth = grown(families, family)
    out = add_pieces(growth, [Proposal(*item) for item in WORDS], budget=budget)
    assert len(growth.pieces) == out.added + out.characters + out.intermediates <= budget
    assert out.left_out["over_budget"] + out.left_out["no_path"] > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_without_intermediates_a_piece_without_a_path_is_left_out(families, family):
    word = Proposal(" qqzxxq", "eng_Latn")
    growth = grown(families, family)
    out = add_pieces(growth, [word], budget=10, intermediates=False)
    assert (out.added, out.intermediates, out.left_out) == (0, 0, {"no_path": 1})
    assert growth.pieces == []
    assert add_pieces(growth, [word], budget=10).added == 1
    assert growth.spell(word.piece) in growth.pieces


@pytest.mark.parametrize("family", FAMILIES)
def test_pieces_that_are_there_already_are_no_work(families, family):
    growth = grown(families, family)
    before = growth.build().to_str()
    held = [
        Proposal(growth.raw(piece).decode(), "eng_Latn")
        for piece in growth.vocab
        if piece.isascii() and piece.isalpha()
    ]
    out = add_pieces(growth, held, budget=100)
    assert out.left_out == {"already_held": len(held)}
    assert growth.build().to_str() == before


def test_proposals_survive_a_file(tmp_path):
    given = [Proposal(" nasi", "ind_Latn", 12), Proposal("ข้าว", "tha_Thai", 3)]
    write_proposals(tmp_path, given)
    source = Artifact(path=tmp_path, kind="pieces", digest="", name="given")
    assert list(read_proposals([source])) == given


@pytest.mark.parametrize(
    "line", ["{", '"nasi"', '{"piece": "", "language": "th"}', '{"piece": 3, "language": "th"}', '{"piece": "a"}']
)
def test_a_line_that_is_no_piece_is_named(tmp_path, line):
    good = '{"piece": "ข้าว", "language": "th"}\n'
    (tmp_path / FILE).write_text(good + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="not a piece") as caught:
        list(read_proposals([Artifact(path=tmp_path, kind="pieces", digest="", name="given")]))
    assert f"{FILE}:2" in str(caught.value)


def test_an_unknown_language_and_a_missing_file_are_refused(tmp_path):
    source = Artifact(path=tmp_path, kind="pieces", digest="", name="given")
    with pytest.raises(InputError, match=FILE):
        list(read_proposals([source]))
    (tmp_path / FILE).write_text('{"piece": "x", "language": "xx_Yyyy"}\n', encoding="utf-8")
    with pytest.raises(RecipeError):
        list(read_proposals([source]))


@pytest.mark.parametrize("family", FAMILIES)
def test_expand_takes_given_pieces(tmp_path, families, corpus, family):
    write_proposals(tmp_path, [Proposal(*item, count=9) for item in WORDS if item[1] != "eng_Latn"])
    files = {"base": families[family], "documents": corpus, "pieces": tmp_path / FILE}
    given = {"max_kept_change": 0.0, "pad_to_multiple": 1}
    metrics = run_stage(STAGE, tmp_path / "given", files, **given, learn_pieces=False)
    out = metrics["given_pieces"]
    asked = sum(language != "eng_Latn" for _, language in WORDS)
    assert out["added"] + sum(out["left_out"].values()) == asked
    assert out["added"] > 0.9 * asked, out
    assert metrics["new_tokens"] == out["added"] + out["characters"] + out["intermediates"]
    assert sum(metrics["new_tokens_by_language"].values()) == metrics["new_tokens"]
    new, old = load_tokenizer(tmp_path / "given"), load_tokenizer(families[family])
    assert len(new.tokenize(" ตลาด")) < len(old.tokenize(" ตลาด"))
    for text in make_texts("eng_Latn"):
        assert new(text)["input_ids"] == old(text)["input_ids"]
    # Half of the words given: the room that they leave is filled by learning.
    half = tmp_path / "half"
    half.mkdir()
    write_proposals(half, [Proposal(*item, count=9) for item in WORDS[::2] if item[1] != "eng_Latn"])
    more = run_stage(STAGE, tmp_path / "more", files | {"pieces": half / FILE}, **given, num_new_tokens=1000)
    out = more["given_pieces"]
    assert more["new_tokens"] > out["added"] + out["characters"] + out["intermediates"]


@pytest.mark.parametrize("family", FAMILIES)
def test_expanding_by_what_is_there_already_changes_nothing(tmp_path, families, corpus, family):
    write_proposals(tmp_path, [Proposal(" the", "eng_Latn"), Proposal("a", "ind_Latn")])
    files = {"base": families[family], "documents": corpus, "pieces": tmp_path / FILE}
    metrics = run_stage(STAGE, tmp_path / "same", files, learn_pieces=False, pad_to_multiple=1)
    assert metrics["new_tokens"] == 0
    assert metrics["given_pieces"]["left_out"] == {"already_held": 2}
    new, old = load_tokenizer(tmp_path / "same"), load_tokenizer(families[family])
    assert new.get_vocab() == old.get_vocab()
    assert all(new(text)["input_ids"] == old(text)["input_ids"] for text in make_texts("eng_Latn"))
