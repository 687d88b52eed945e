"""What is known of inputs before anything is built, and what of it passes through stages."""

from __future__ import annotations

import json

import pytest

from sampan.core.stage import Artifact
from sampan.recipe.facts import carried, of_input, of_outside
from sampan.recipe.given import Given
from sampan.recipe.stages import STAGES

LLAMA = {"parameters": 8.0, "vocab_size": 10, "hidden_size": 2, "num_layers": 1, "attention_size": 2, "tied": 0}


def test_a_models_shape_passes_to_what_is_made_of_it():
    known = {"base": [{"parameters": 3}], "models": [LLAMA, {**LLAMA, "hidden_size": 4}]}
    assert carried("checkpoint", known, {}) == LLAMA
    assert carried("tokens", known, {}) == {}
    assert carried("checkpoint", {"model": [{"parameters": 3}]}, {}) == {}


def test_tokens_pass_in_proportion_to_the_text_that_is_left():
    fact = {"tokens": 100, "documents": 10, "text_bytes": 400}
    assert carried("documents", {"documents": [fact, fact]}, {"text_bytes": 800}) == {"tokens": 200, "documents": 20}
    assert carried("documents", {"documents": [fact]}, {"text_bytes": 100}) == {"tokens": 25, "documents": 2.5}
    assert carried("documents", {"documents": [fact, {"text_bytes": 1}]}, {}) == {}, "not known of all"
    assert carried("scores", {"documents": [fact]}, {}) == {}


def test_what_is_measured_goes_over_what_is_said(tmp_path):
    given = Given(facts={"tokens": 7})
    here = Artifact(path=tmp_path / "rows.jsonl", kind="external", digest="", name="rows")
    assert of_input(given, None) == of_input(given, here) == {"tokens": 7, "text_bytes": 24.5}
    here.path.write_text("x" * 90)
    assert of_input(given, here)["text_bytes"] == 90
    assert "tokens" not in of_input(given, here)


def test_the_shape_of_a_model_folder_is_read_from_its_config(tmp_path, tiny_weights):
    facts = of_outside(Artifact(path=tiny_weights, kind="external", digest="", name="m"))
    assert facts["parameters"] == 12
    assert (facts["hidden_size"], facts["attention_size"], facts["num_layers"], facts["tied"]) == (8, 16, 3, 1)
    (tiny_weights / "config.json").write_text("{}")
    assert "hidden_size" not in of_outside(Artifact(path=tiny_weights, kind="external", digest="", name="m"))


@pytest.fixture
def tiny_weights(tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"w": np.zeros((3, 4), np.float32)}, folder / "model.safetensors")
    config = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 4, "head_dim": 4, "vocab_size": 5}
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    return folder


def test_an_expanded_model_has_its_new_rows():
    stage = STAGES.load("vocab.expand")
    base = {"parameters": 1000.0, "vocab_size": 100, "hidden_size": 8, "tied": 0}
    params = stage.params(num_new_tokens=20, pad_to_multiple=16)
    assert stage.estimate(params, {"base": [base]})["vocab_size"] == 128
    assert stage.estimate(params, {"base": [base]})["parameters"] == 1000 + 28 * 8 * 2
    assert stage.estimate(params, {"base": [{**base, "tied": 1}]})["parameters"] == 1000 + 28 * 8


def test_learning_pieces_takes_memory_for_the_documents_that_are_read_not_for_all():
    """175 GB of text and 20,000 documents of each language: some hundred megabytes are kept."""
    facts = {"documents": [{"text_bytes": 175e9, "documents": 50e6}]}
    for name in ("vocab.expand", "vocab.propose"):
        stage = STAGES.load(name)
        assert 1e9 < stage.estimate(stage.params(), facts)["memory_bytes"] < 20e9
        few = stage.estimate(stage.params(max_documents=100), facts)
        assert few["memory_bytes"] < 1.1e9
        assert few["seconds"] > 1000, "all are gone through"


def test_the_shape_of_a_model_made_from_scratch_goes_on_to_what_is_grown_from_it():
    init, expand = STAGES.load("model.init"), STAGES.load("vocab.expand")
    facts = init.estimate(init.params(hidden_size=64, num_layers=2), {"tokenizer": [{"vocab_size": 1024}]})
    grown = expand.estimate(expand.params(num_new_tokens=1024), {"base": [facts]})
    assert grown["vocab_size"] == 2048
    assert grown["parameters"] == facts["parameters"] + 1024 * 64, "tied"


def test_a_mixtures_budgets_are_whole_and_add_up():
    stage = STAGES.load("corpus.mix")
    params = stage.params(budget=100, shares={"a": 1, "b": 2})
    facts = {"documents": [{"text_bytes": 5}], "tokenizer": [{}]}
    assert stage.estimate(params, facts)["tokens_by_source"] == {"a": 33, "b": 67}
    assert "tokens_by_source" not in stage.estimate(params, {"documents": [{"text_bytes": 5}]}), "bytes, not tokens"
    skewed = stage.params(budget=100, shares={"a": 1, "b": 2}, alpha=0.5)
    assert not stage.estimate(skewed, facts)["tokens_by_source"], "depends on sizes that are not known"
