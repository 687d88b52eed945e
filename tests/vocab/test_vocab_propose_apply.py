"""Pieces given from outside: each is reached, in both families, or left out with a reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vocab_corpora import PHRASES, everything

from sampan.core.errors import InputError, RecipeError
from sampan.core.stage import Artifact
from sampan.vocab.growth import open_growth
from sampan.vocab.proposals import FILE, Proposal, read_proposals, write_proposals
from sampan.vocab.propose_apply import _Cutter, add_pieces
from sampan.vocab.verify import check_reachable, check_round_trip

FAMILIES = ["sentencepiece", "byte_level"]
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


def grown(bases, family):
    return open_growth(bases[family], scripts=["Thai", "Khmr", "Laoo", "Mymr", "Taml"])


def tokens_by_merging(growth, tokenizer, piece):
    """The piece cut by merges alone, though a byte-level base may also look whole words up."""
    spec = json.loads(tokenizer.to_str())
    spec["model"]["ignore_merges"] = False
    return growth.tokens(type(tokenizer).from_str(json.dumps(spec)), growth.raw(piece).decode())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_word_of_every_language_becomes_one_token(bases, family):
    growth = grown(bases, family)
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
def test_any_pieces_are_reached_or_accounted_for(bases, family, pieces):
    growth = grown(bases, family)
    out = add_pieces(growth, pieces, budget=10_000)
    check_reachable(growth, growth.build())
    assert out.added + out.left_out.total() == len(pieces)
    assert len(growth.pieces) == out.added + out.characters + out.intermediates
    if family == "sentencepiece":  # nothing cuts its words before merging
        assert set(out.left_out) <= {"already_held", "twice"}


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=25, deadline=None)
@given(pieces=PIECES, text=st.text(sorted(set(PHRASES["tha_Thai"] + PHRASES["eng_Latn"]) - {"|"}), max_size=30))
def test_the_cutter_cuts_as_the_built_tokenizer(bases, family, pieces, text):
    growth = grown(bases, family)
    add_pieces(growth, [*pieces, *[Proposal(char, "tha_Thai") for char in PHRASES["tha_Thai"]]], budget=10_000)
    if text:
        expected = growth.tokens(growth.bare(), text)
        assert _Cutter(growth).cut(growth.spell(text)) == expected


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("budget", [0, 1, 7, 40])
def test_the_budget_holds(bases, family, budget):
    growth = grown(bases, family)
    out = add_pieces(growth, [Proposal(*item) for item in WORDS], budget=budget)
    assert len(growth.pieces) == out.added + out.characters + out.intermediates <= budget
    assert out.left_out["over_budget"] + out.left_out["no_path"] > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_without_intermediates_a_piece_without_a_path_is_left_out(bases, family):
    word = Proposal(" qqzxxq", "eng_Latn")
    growth = grown(bases, family)
    out = add_pieces(growth, [word], budget=10, intermediates=False)
    assert (out.added, out.intermediates, out.left_out) == (0, 0, {"no_path": 1})
    assert growth.pieces == []
    assert add_pieces(growth, [word], budget=10).added == 1
    assert growth.spell(word.piece) in growth.pieces


@pytest.mark.parametrize("family", FAMILIES)
def test_pieces_that_are_there_already_are_no_work(bases, family):
    growth = grown(bases, family)
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
