"""A planted neuron is found, and training neurons leaves every other weight as it was, bit by bit."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sampan.artifacts.neurons import Neurons, read_neurons, write_neurons
from sampan.core.errors import InputError, RecipeError, StageError
from sampan.core.identity import digest_tree
from sampan.train.causal_lm import STAGE
from sampan.train.find_neurons import STAGE as FIND

VALUES = {"context_len": 32, "micro_batch_tokens": 256, "lr": 3e-3, "eps": 1e-8, "global_batch_tokens": 256}
UP, DOWN = "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight"
QUERY = "model.layers.1.self_attn.q_proj.weight"
PLANTED = 5


@pytest.fixture(scope="module")
def planted(tiny, tmp_path_factory):
    """`tiny` with one direction that Thai tokens (100 to 149) have and no other, and a neuron that reads it."""
    folder = shutil.copytree(tiny, tmp_path_factory.mktemp("planted") / "model")
    weights = load_file(folder / "model.safetensors")
    embedding = weights["model.embed_tokens.weight"]
    direction = torch.randn(embedding.shape[1], generator=torch.Generator().manual_seed(1))
    direction /= direction.norm()
    embedding -= embedding @ direction[:, None] * direction
    embedding[100:150] += 3 * embedding.norm(dim=1).mean() * direction
    for name, tensor in weights.items():
        if "layers.0.mlp.up_proj" in name or "layers.0.mlp.gate_proj" in name:
            tensor -= tensor @ direction[:, None] * direction
    weights[UP][PLANTED] = direction * weights[UP].norm(dim=1).max() * 3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def find(planted, shards, run_stage):
    def call(name="find", model=planted, **values):
        given = {"model": ("checkpoint", [model]), "tokens": ("tokens", [shards])}
        return run_stage(FIND, given, name, **{"language": "tha_Thai", "context_len": 32, **values})

    return call


def test_a_planted_neuron_is_found_and_only_for_its_language(find):
    metrics, out = find(ffn_share=0.1, num_documents=20)
    found = read_neurons(out)
    assert found.language == "tha_Thai"
    assert PLANTED in found.rows[UP]
    assert PLANTED in found.columns[DOWN]
    assert metrics["documents_read"] == {"tha_Thai": 20, "eng_Latn": 20}
    assert 0 < metrics["share"] < 0.2
    other = read_neurons(find("english", language="eng_Latn", ffn_share=0.5, present_in=0.5)[1])
    assert PLANTED not in other.rows.get(UP, [])


def test_the_same_neurons_every_time(find):
    values = {"ffn_share": 0.1, "num_documents": 5}
    assert digest_tree(find("one", **values)[1]) == digest_tree(find("two", **values)[1])


def test_strengths_are_those_of_the_definition(tiny):
    """Against the model run with a dimension set to zero by hand."""
    from sampan.model.checkpoint import load_model
    from sampan.train.neuron_search import Probe, _change

    ids = list(range(100, 117))
    plain, model = load_model(tiny), load_model(tiny)
    seen = {}
    plain.model.layers[0].mlp.up_proj.register_forward_hook(lambda m, a, out: seen.update(up=out[0]))
    plain.model.layers[0].self_attn.o_proj.register_forward_hook(lambda m, a, out: seen.update(mixed=a[0][0]))
    with torch.no_grad():
        expected = plain(torch.tensor([ids])).logits
    probe = Probe(model, attention=True)
    found = probe.strengths(ids)
    torch.testing.assert_close(found[UP], seen["up"].abs().sum(0))
    value = seen["mixed"].abs().sum(0).view(2, 2, 8).sum(1).flatten()  # two query heads for each of two value heads
    torch.testing.assert_close(found["model.layers.0.self_attn.v_proj.weight"], value, rtol=1e-4, atol=1e-5)
    with torch.inference_mode():  # looking changes nothing
        torch.testing.assert_close(model(torch.tensor([ids])).logits, expected, rtol=1e-4, atol=1e-5)
    query, key = torch.randn(6, 16), torch.randn(6, 16)
    mask = torch.ones(6, 6).triu(1).bool()

    def matrix(scores):
        return scores.masked_fill(mask, -torch.inf).softmax(-1)

    scores = query @ key.T * 0.25
    changes = _change(query, key, scores, matrix(scores), 0.25, matrix, slice(8, 16))
    for number, change in enumerate(changes, 8):
        left = query.clone()
        left[:, number] = 0
        expected = (matrix(left @ key.T * 0.25) - matrix(scores)).square().sum()
        torch.testing.assert_close(change, expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("values", "says"),
    [({"language": "khm_Khmr"}, "tokens have"), ({"ffn_share": 0.0, "attention_share": 0.0}, "no neuron works")],
)
def test_nothing_to_find_is_said(find, values, says):
    with pytest.raises(StageError, match=says):
        find(**values)


@pytest.fixture
def tune(tiny, shards, run_stage, tmp_path):
    def call(name="tune", rows=None, columns=None, **values):
        folder = tmp_path / f"{name}-neurons"
        folder.mkdir(exist_ok=True)
        write_neurons(folder, Neurons("tha_Thai", rows or {UP: [3, 5], QUERY: [0]}, columns or {DOWN: [3, 5]}))
        given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [shards]), "neurons": ("neurons", [folder])}
        return run_stage(STAGE, given, name, **{**VALUES, "num_tokens": 256 * 8, **values})

    return call


@pytest.mark.parametrize("values", [{}, {"moments": "bfloat16"}, {"ema_decay": 0.5}, {"weight_decay": 1.0}], ids=str)
def test_unselected_weights_are_bit_equal_and_selected_ones_move(tune, tiny, weights_of, values):
    metrics, out = tune(**values)
    before, after = weights_of(tiny), weights_of(out)
    for name in before:
        free = torch.zeros_like(before[name], dtype=torch.bool)
        if name in (UP, QUERY):
            free[[3, 5] if name == UP else [0]] = True
        if name == DOWN:
            free[:, [3, 5]] = True
        # view as integers: the very bits, -0.0 included
        same = before[name].view(torch.int32) == after[name].view(torch.int32)
        assert same[~free].all(), name
        assert not same[free].any() if free.any() else True, name
    width, inner = before[UP].shape[1], before[DOWN].shape[0]
    assert metrics["trained_parameters"] == 2 * width + 2 * inner + before[QUERY].shape[1]
    assert metrics["loss_last"] < metrics["loss_first"]


def test_found_neurons_are_tuned_and_resume(find, tiny, shards, run_stage, planted, weights_of):
    neurons = find(ffn_share=0.1, num_documents=20)[1]
    given = {"model": ("checkpoint", [planted]), "tokens": ("tokens", [shards]), "neurons": ("neurons", [neurons])}
    values = {**VALUES, "num_tokens": 256 * 8}

    def stop(done, total, unit):
        if done == 256 * 5:
            raise KeyboardInterrupt

    metrics, whole = run_stage(STAGE, given, "whole", **values)
    with pytest.raises(KeyboardInterrupt):
        run_stage(STAGE, given, "broken", on_progress=stop, checkpoint_seconds=0, **values)
    assert digest_tree(run_stage(STAGE, given, "broken", fresh_out=False, **values)[1]) == digest_tree(whole)
    assert not torch.equal(weights_of(whole)[UP][PLANTED], weights_of(planted)[UP][PLANTED])
    assert np.isfinite(metrics["loss_last"])


def test_neurons_that_do_not_fit_are_refused(tune, tmp_path):
    for name, rows in (("far", {UP: [10_000]}), ("other", {"model.layers.9.mlp.up_proj.weight": [0]})):
        with pytest.raises(StageError, match="do not fit this model"):
            tune(name, rows=rows)
    with pytest.raises(RecipeError, match="already says"):
        tune("both", train_only=("*norm*",))
    (tmp_path / "neurons.json").write_text(json.dumps({"rows": 3}))
    with pytest.raises(InputError, match="no list of neurons"):
        read_neurons(tmp_path)
