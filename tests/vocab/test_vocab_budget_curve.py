"""vocab.budget_curve: shortened vocabularies work, the curve ends where the expansion is, and knees are found."""

from __future__ import annotations

import itertools
import json
import xml.etree.ElementTree as ET
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vocab_corpora import make_texts, run_stage, write_corpus

from sampan.core.errors import InputError, StageError
from sampan.vocab.budget_curve import STAGE
from sampan.vocab.knee import chord_knee, lowest, saving_knee
from sampan.vocab.model_cost import Shape, shape_of
from sampan.vocab.truncation import Truncation

FAMILIES = ["sentencepiece", "byte_level"]


def spec_of(folder):
    return json.loads((folder / "tokenizer.json").read_text("utf-8"))


@pytest.fixture(scope="module", params=FAMILIES)
def truncation(request, bases, expanded):
    return Truncation(spec_of(bases[request.param]), spec_of(expanded[request.param][0]))


@pytest.fixture(scope="module", params=FAMILIES)
def made(request, tmp_path_factory, bases, expanded, corpus):
    out = tmp_path_factory.mktemp("budget") / request.param
    given_ = {"base": bases[request.param], "expanded": expanded[request.param][0], "documents": corpus}
    metrics = run_stage(STAGE, out, given_, points=4, max_documents=20)
    return json.loads((out / "budget_curve.json").read_text("utf-8")), metrics, out, given_


def encode(tokenizer, texts):
    return [item.tokens for item in tokenizer.encode_batch(texts, add_special_tokens=False)]


def test_all_pieces_give_the_grown_tokenizer_and_none_the_base(truncation):
    texts = make_texts("khm_Khmr")[:10] + make_texts("vie_Latn")[:10]
    assert truncation.closed(truncation.pieces) == truncation.pieces
    whole = truncation.build(truncation.pieces)
    assert encode(whole, texts) != encode(truncation.build([]), texts)
    assert not {token for row in encode(truncation.build([]), texts) for token in row} & set(truncation.pieces)
    assert whole.get_vocab_size() - truncation.build([]).get_vocab_size() == len(truncation.pieces)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_every_kept_piece_is_still_built(truncation, share):
    kept = truncation.closed(truncation.pieces[: int(share * len(truncation.pieces))])
    model = truncation.build(kept).model
    dead = [piece for piece in kept if [token.value for token in model.tokenize(piece)] != [piece]]
    assert kept
    assert not dead


def test_what_is_built_of_a_missing_part_goes_too(truncation):
    longest = max(truncation.pieces, key=len)
    alone = truncation.closed([longest])
    assert alone == [] or len(truncation.build(alone).model.tokenize(longest)) == 1
    assert set(truncation.closed(truncation.pieces[10:])) <= set(truncation.pieces[10:])


def test_pieces_belong_to_the_language_that_uses_them(truncation):
    thai, lao = truncation.pieces[5], truncation.pieces[-1]
    owners = truncation.owners({"tha_Thai": Counter({thai: 5}), "lao_Laoo": Counter({thai: 1, lao: 9})})
    assert owners[thai] == "tha_Thai", "all of Thai's tokens against a tenth of Lao's"
    assert owners[lao] == "lao_Laoo"
    assert "" in owners.values()


def test_the_curve_falls_from_one_to_the_expansion(made):
    report, metrics, *_ = made
    points = report["points"]
    assert points[0]["relative_tokens"] == 1
    assert points[0]["new_pieces"] == 0
    assert points[-1]["new_pieces"] == report["new_pieces"] == sum(
        point["new_pieces"] for point in points[-1]["by_language"].values()
    ) + report["new_pieces_unused"]  # fmt: skip
    for before, after in itertools.pairwise(points):
        assert after["new_pieces"] > before["new_pieces"]
        assert after["relative_tokens"] < before["relative_tokens"]
    assert points[-1]["by_language"]["eng_Latn"]["relative_tokens"] == 1
    assert "eng_Latn" not in report["grown"]
    assert {"tha_Thai", "khm_Khmr", "tam_Taml"} <= set(report["grown"])
    assert metrics["relative_tokens"] == points[-1]["relative_tokens"]
    knee = report["knees"]["all"]["chord"]
    assert knee["new_pieces"] in [point["new_pieces"] for point in points]


def test_cost_by_hand(made):
    """Llama 2 7B: 6.476 billion weights beside its vocabulary; twice 4,096 for each token of it."""
    report = made[0]
    assert report["shape"]["body_parameters"] == 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    first, last = report["points"][0], report["points"][-1]
    assert last["vocabulary_parameters"] - first["vocabulary_parameters"] == 2 * 4096 * report["new_pieces"]
    body = report["shape"]["body_parameters"]
    cost = (body + 4096 * last["vocab_size"]) / (body + 4096 * first["vocab_size"])
    assert last["relative_flops"] == pytest.approx(last["relative_tokens"] * cost, abs=2e-6)


def test_a_checkpoint_brings_its_own_shape(made, tmp_path, corpus):
    import shutil

    base = tmp_path / "base"
    shutil.copytree(made[3]["base"], base)
    config = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3}
    config |= {"intermediate_size": 128, "tie_word_embeddings": True}
    (base / "config.json").write_text(json.dumps(config))
    run_stage(STAGE, tmp_path / "out", {**made[3], "base": base}, points=1, max_documents=5)
    shape = json.loads((tmp_path / "out" / "budget_curve.json").read_text("utf-8"))["shape"]
    assert shape["body_parameters"] == 3 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)
    assert shape["tied"]
    with pytest.raises(InputError, match="shape"):
        shape_of({"hidden_size": 4}, where="config.json")


def test_files_again_have_equal_bytes_and_readable_pictures(made, tmp_path):
    run_stage(STAGE, tmp_path / "out", made[3], points=4, max_documents=20)
    for file in made[2].iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()
    text = " ".join(ET.parse(made[2] / "budget_curve.svg").getroot().itertext())
    assert "khm_Khmr" in text
    assert "chord" in text
    assert "| khm_Khmr |" in (made[2] / "budget_curve.md").read_text("utf-8")


def test_pieces_in_order_of_id(made, tmp_path):
    run_stage(STAGE, tmp_path / "out", made[3], points=2, order="id", max_documents=20)
    points = json.loads((tmp_path / "out" / "budget_curve.json").read_text("utf-8"))["points"]
    assert points[-1]["by_language"] == made[0]["points"][-1]["by_language"], "all pieces are all pieces in any order"
    assert points[1]["by_language"] != made[0]["points"][2]["by_language"]


def test_the_wrong_base_is_an_error(bases, expanded, tmp_path):
    documents = write_corpus(tmp_path / "thai.jsonl", ["tha_Thai"])
    given_ = {"base": bases["byte_level"], "expanded": expanded["sentencepiece"][0], "documents": documents}
    with pytest.raises(StageError, match="no expansion of the base"):
        run_stage(STAGE, tmp_path / "out", given_)
    given_ = {"base": bases["byte_level"], "expanded": bases["byte_level"], "documents": documents}
    with pytest.raises(StageError, match="no new piece"):
        run_stage(STAGE, tmp_path / "same", given_)


def test_chord_knee_of_a_corner():
    """Steep to (2, 0.2), then flat: the corner is the knee."""
    assert chord_knee([(0, 1.0), (1, 0.6), (2, 0.2), (6, 0.15), (10, 0.1)]) == (2, 0.2)
    assert chord_knee([(0, 1.0), (5, 0.5), (10, 0.0)]) is None, "a straight line has none"
    assert chord_knee([(0, 1.0), (10, 0.5)]) is None
    assert chord_knee([(0, 1.0), (5, 1.1), (10, 1.2)]) is None


def test_saving_knee_by_hand():
    """9 %, then 0.55 %, then 0.22 % for 1,000 pieces: enough at 1,000."""
    points = [(0, 1.0), (1000, 0.91), (2000, 0.905), (4000, 0.901)]
    assert saving_knee(points, least=0.01) == (1000, 0.91)
    assert saving_knee(points, least=0.003) == (2000, 0.905)
    assert saving_knee(points, least=0.001) is None, "the last stretch still pays"
    assert saving_knee([(0, 1.0), (1000, 1.0)], least=0.01) == (0, 1.0)


@given(st.lists(st.floats(0.1, 0.99), min_size=3, max_size=12))
def test_knees_are_points_of_the_curve(falls):
    value, points = 1.0, [(0.0, 1.0)]
    for number, fall in enumerate(falls, 1):
        value *= fall
        points.append((500.0 * number, value))
    for knee in (chord_knee(points), saving_knee(points, least=0.2)):
        assert knee is None or knee in points
    assert lowest(points) == points[-1]


def test_a_larger_vocabulary_pays_until_its_head_costs_more_than_it_saves():
    """A small model with a large vocabulary: halving the tokens does not pay when the head is four times the body."""
    shape = Shape(hidden_size=64, num_layers=2, intermediate_size=128, kv_size=64, tied=True)
    assert shape.flops(1000) == 2 * (shape.body + 64_000)
    assert 0.5 * shape.flops(20_000) > shape.flops(1000)
    assert shape.vocabulary(1000) == 64_000
