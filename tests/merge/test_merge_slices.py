"""Slices of layers, stacked or merged, and knobs that differ by layer and tensor name."""

import json

import numpy as np
import pytest

from merge_models import CONFIG, EMBED, HEAD, contents, make, merge
from sampan.core.errors import InputError, RecipeError
from sampan.merge.knobs import Rule, value_at
from sampan.model.tensors import TensorFolder

UP, Q = "model.layers.{}.mlp.up_proj.weight", "model.layers.{}.self_attn.q_proj.weight"
OUTER = {EMBED: (12, 6), HEAD: (12, 6), "model.norm.weight": (6,)}
KINDS = ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]
DEEP = {**CONFIG, "num_hidden_layers": 4, "layer_types": KINDS, "architectures": ["LlamaForCausalLM"]}


def deep(folder, seed, layers=4, **more):
    shapes = OUTER | {name.format(i): (9, 6) for i in range(layers) for name in (UP, Q)}
    return make(folder, seed=seed, shapes=shapes, config={**DEEP, "num_hidden_layers": layers}, **more)


@pytest.fixture
def trio(tmp_path):
    made = [deep(tmp_path / name, seed) for seed, name in enumerate(("base", "one", "two"))]
    return [artifact for artifact, _ in made], [tensors for _, tensors in made]


def source(model, first, last, **knobs):
    return {"model": model, "layers": [first, last], **knobs}


def stack(tmp_path, models, *slices, **given):
    wanted = [{"sources": sources} for sources in slices]
    return merge(tmp_path, None, models, method="passthrough", normalize=None, slices=wanted, **given)


def test_stacked_layers_are_copies_and_the_config_is_rewritten(tmp_path, trio):
    (_, one, two), (_, t1, t2) = trio
    out, metrics = stack(tmp_path, [one, two], [source(0, 0, 3)], [source("two", 1, 4)])
    layers = [(t1, 0), (t1, 1), (t1, 2), (t2, 1), (t2, 2), (t2, 3)]
    with TensorFolder(out) as merged:
        assert len(merged) == 3 + 2 * len(layers)
        for i, (tensors, layer) in enumerate(layers):
            for name in (UP, Q):
                assert np.array_equal(merged.read(name.format(i)), tensors[name.format(layer)])
        assert np.array_equal(merged.read(EMBED), t1[EMBED])
        assert np.array_equal(merged.read(HEAD), t2[HEAD])
        assert np.array_equal(merged.read("model.norm.weight"), t2["model.norm.weight"])
    config = json.loads((out / "config.json").read_text())
    assert config["num_hidden_layers"] == 6
    assert config["layer_types"] == [KINDS[layer] for _, layer in layers]
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert metrics["parameters"] == 2 * 12 * 6 + 6 + 12 * 54


def test_stacked_model_runs_in_transformers(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from sampan.core.stage import Artifact

    torch.manual_seed(0)
    config = transformers.Gemma2Config(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    transformers.Gemma2ForCausalLM(config).save_pretrained(tmp_path / "small")
    small = Artifact(path=tmp_path / "small", kind="checkpoint", digest="small", name="small")
    scale = [{"filter": "o_proj", "value": 0}, {"filter": "down_proj", "value": 0}, {"value": 1}]
    out, _ = stack(tmp_path, [small], [source(0, 0, 2)], [source(0, 0, 2, weight=scale)])
    deeper = transformers.AutoModelForCausalLM.from_pretrained(out).eval()
    assert deeper.config.num_hidden_layers == 4
    shallow = transformers.AutoModelForCausalLM.from_pretrained(small.path).eval()
    ids = torch.arange(8)[None]
    # a layer whose two output projections are zero adds nothing to the residual stream
    torch.testing.assert_close(deeper(ids).logits, shallow(ids).logits)


def test_slices_of_task_vectors_have_knobs_of_their_own(tmp_path, trio):
    (base, one, two), (t0, t1, t2) = trio
    slices = [
        {"sources": [source(0, 1, 3, weight=[1, 0]), source("base", 0, 2), source(1, 2, 4, weight=0.5)]},
        {"sources": [source(1, 3, 4), source(0, 0, 1)], "lambda_": 0.25},
    ]
    out, _ = merge(tmp_path, base, [one, two], slices=slices, weights=[0.5, 0.75], dtype="float32")

    def mixed(name, layer, parts, scale=1.0):
        start = t0[name.format(layer)]
        return start + scale * sum(w * (t[name.format(at)] - start) for w, t, at in parts)

    wanted = [
        (0, [(1, t1, 1), (0.5, t2, 2)], 1.0),
        (1, [(0, t1, 2), (0.5, t2, 3)], 1.0),
        (3, [(0.75, t2, 3), (0.5, t1, 0)], 0.25),  # no base is named: its layers are the first source's
    ]
    with TensorFolder(out) as merged:
        for i, (layer, parts, scale) in enumerate(wanted):
            for name in (UP, Q):
                # sums of a few numbers below 8 in float32
                np.testing.assert_allclose(
                    merged.read(name.format(i)), mixed(name, layer, parts, scale), rtol=0, atol=2e-6
                )
        embedding = t0[EMBED] + (1 * (t1[EMBED] - t0[EMBED]) + 0.5 * (t2[EMBED] - t0[EMBED]))
        np.testing.assert_allclose(merged.read(EMBED), embedding, rtol=0, atol=2e-6)


def test_gradients_and_filters_by_layer_and_name(tmp_path, trio):
    (base, one, two), (t0, t1, t2) = trio
    weights = [[{"filter": "mlp", "value": [0, 1.5]}, {"value": 0.25}], [1, 0]]
    out, _ = merge(tmp_path, base, [one, two], weights=weights, dtype="float32")
    with TensorFolder(out) as merged:
        for i in range(4):
            for name, first in ((UP, 0.5 * i), (Q, 0.25)):
                at = name.format(i)
                wanted = t0[at] + first * (t1[at] - t0[at]) + (1 - i / 3) * (t2[at] - t0[at])
                np.testing.assert_allclose(merged.read(at), wanted, rtol=0, atol=2e-6)
        wanted = t0[HEAD] + 0.25 * (t1[HEAD] - t0[HEAD]) + (t2[HEAD] - t0[HEAD])  # outside the layers: depth 0
        np.testing.assert_allclose(merged.read(HEAD), wanted, rtol=0, atol=2e-6)


def test_one_slice_of_everything_is_the_merge_without_slices(tmp_path, trio):
    (base, one, two), _ = trio
    whole, _ = merge(tmp_path, base, [one, two], method="ties", density=0.5)
    slices = [{"sources": [source("base", 0, 4), source(0, 0, 4), source(1, 0, 4)]}]
    sliced, _ = merge(tmp_path, base, [one, two], name="sliced", method="ties", density=0.5, slices=slices)
    assert contents(whole) == contents(sliced)


@pytest.mark.parametrize(
    ("slices", "says"),
    [
        ([[source(0, 0, 5)]], r"slices\[0\].sources\[0\]: \[0, 5\] are not layers of one, which has 4"),
        ([[source(0, 2, 2)]], "are not layers"),
        ([[source(0, 0, 2)], []], r"slices\[1\] has no sources"),
        ([[source(0, 0, 2)], [source(0, 0, 2), source(1, 0, 2)]], "the same number of sources"),
        ([[source(0, 0, 2), source(1, 0, 3)]], "different numbers of layers"),
        ([[source(0, 0, 2), source(1, 0, 2)]], "passthrough merges 1 model, not 2"),
        ([[source("tow", 0, 2)]], "there is no model 'tow'.*one, two"),
        ([[source(0, 0, 2, density=0.5)]], "passthrough has no density"),
    ],
)
def test_wrong_slices_are_refused(tmp_path, trio, slices, says):
    (_, one, two), _ = trio
    with pytest.raises(RecipeError, match=says):
        stack(tmp_path, [one, two], *slices)


def test_layers_of_another_shape_are_refused_by_name(tmp_path, trio):
    (_, one, _), _ = trio
    shapes = OUTER | {UP.format(0): (8, 6), Q.format(0): (9, 6)}
    odd, _ = make(tmp_path / "odd", shapes=shapes, config={**DEEP, "num_hidden_layers": 1})
    slices = [{"sources": [source(0, 3, 4), source(1, 0, 1)]}]
    given = {"method": "linear", "normalize": True, "slices": slices}
    with pytest.raises(InputError, match=r"'model.layers.3.mlp.up_proj.weight' is 9×6 in one but 8×6 in odd"):
        merge(tmp_path, None, [one, odd], **given)
    bare, _ = make(tmp_path / "bare", shapes=OUTER | {UP.format(0): (9, 6)}, config={**DEEP, "num_hidden_layers": 1})
    with pytest.raises(InputError, match=r"bare has no tensor 'model.layers.0.self_attn.q_proj.weight', which"):
        merge(tmp_path, None, [one, bare], name="no", **given)


def test_settings_follow_mergekits_rules():
    assert value_at([0, 1, 0], "x", 0.25) == 0.5
    assert value_at([3], "x", 1.0) == 3
    rules = [Rule(filter="mlp", value=[0, 2]), Rule(filter="attn", value=1), Rule(filter="*", value=9)]
    assert [value_at(rules, name, 0.5) for name in ("a.mlp.b", "attn", "z")] == [1, 1, 9]
    assert value_at(rules[:2], "z", 0.5) is None
    for wrong in ([], [1.0, Rule(value=1)], [Rule(value=[])]):
        with pytest.raises(RecipeError):
            value_at(wrong, "z", 0.5)


def test_weights_need_a_value_for_every_tensor(tmp_path, trio):
    (base, one, _), _ = trio
    with pytest.raises(RecipeError, match="no rule of the weights holds for tensor 'lm_head.weight'"):
        merge(tmp_path, base, [one], weights=[[{"filter": "mlp", "value": 1}]])
