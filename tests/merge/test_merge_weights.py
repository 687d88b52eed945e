"""The stage merge.weights on small model folders: what it writes, what it refuses, resume, report."""

import functools
import json
import subprocess
import sys

import numpy as np
import pytest

from merge_models import CONFIG, EMBED, HEAD, SHAPES, contents, make, merge, tokenizer
from sampan.core.errors import InputError, RecipeError
from sampan.core.params import non_default, parse_params
from sampan.core.stage import Artifact
from sampan.merge import stream
from sampan.merge.weights import STAGE, Params
from sampan.model.tensors import TensorFolder


@pytest.fixture
def trio(tmp_path):
    made = [make(tmp_path / name, seed=i) for i, name in enumerate(("base", "one", "two"))]
    return [artifact for artifact, _ in made], [tensors for _, tensors in made]


def test_weights_are_the_formula_rounded_once(tmp_path, trio):
    (base, *models), (t0, t1, t2) = trio
    out, metrics = merge(tmp_path, base, models, weights=[0.5, 0.25], lambda_=0.5)
    with TensorFolder(out) as merged:
        assert set(merged) == set(SHAPES)
        for name in merged:
            exact = t0[name] + np.float32(0.5) * (0.5 * (t1[name] - t0[name]) + 0.25 * (t2[name] - t0[name]))
            assert merged[name].dtype == "BF16"
            # half a bfloat16 step (2^-8) of relative error, and float32 rounding of terms below 8
            np.testing.assert_allclose(merged.read(name), exact, rtol=2**-8, atol=1e-5)
    assert metrics["parameters"] == sum(np.prod(shape) for shape in SHAPES.values())


def test_copies_the_base_or_the_first_models_files(tmp_path, trio):
    (base, *models), _ = trio
    out, _ = merge(tmp_path, base, models)
    assert (out / "chat_template.jinja").read_text() == "base"
    assert json.loads((out / "config.json").read_text()) == CONFIG
    assert {"tokenizer.json", "generation_config.json"} <= {path.name for path in out.iterdir()}
    out, _ = merge(tmp_path, base, models, name="other", tokenizer="first", dtype="float32")
    assert (out / "chat_template.jinja").read_text() == "one"
    assert json.loads((out / "config.json").read_text())["dtype"] == "float32"
    with TensorFolder(out) as merged:
        assert {info.dtype for info in merged.values()} == {"F32"}


@pytest.mark.parametrize("method", ["linear", "ties", "dare_ties", "della_linear", "consensus_ta"])
def test_bytes_do_not_depend_on_threads_and_shards_hold_the_same(tmp_path, trio, method, monkeypatch):
    (base, *models), _ = trio
    knobs = {"density": 0.5} if method not in ("linear", "consensus_ta") else {}
    first, _ = merge(tmp_path, base, models, method=method, **knobs)
    monkeypatch.setattr(stream, "merge_tensor", functools.partial(stream.merge_tensor, block_size=5))
    second, _ = merge(tmp_path, base, models, name="second", method=method, threads=3, **knobs)
    assert contents(first) == contents(second)
    third, _ = merge(tmp_path, base, models, name="third", method=method, shard_bytes=100, **knobs)
    assert len(list(third.glob("model-*.safetensors"))) > 1
    with TensorFolder(first) as a, TensorFolder(third) as b:
        assert all(a.read_bytes(name) == b.read_bytes(name) for name in a)


def test_linear_needs_no_base(tmp_path, trio):
    (_, *models), (_, t1, t2) = trio
    out, metrics = merge(tmp_path, None, models, method="linear", normalize=True, dtype="float32")
    with TensorFolder(out) as merged:
        for name in merged:
            assert np.array_equal(merged.read(name), (t1[name] + t2[name]) / 2)
    assert "cosines" not in metrics
    with pytest.raises(RecipeError, match="ties needs a base"):
        merge(tmp_path, None, models, name="no", method="ties")


def test_report_measures_the_step(tmp_path):
    base, t0 = make(tmp_path / "base", dtype="F32")
    step = {name: np.ones_like(tensor) for name, tensor in t0.items()}
    one, _ = make(tmp_path / "one", values={n: t0[n] + step[n] for n in t0}, dtype="F32")
    two, _ = make(tmp_path / "two", values={n: t0[n] + 2 * step[n] for n in t0}, dtype="F32")
    _, metrics = merge(tmp_path, base, [one, two])
    root = metrics["parameters"] ** 0.5
    # adding 1 to a float32 of size 4 and taking it off again rounds at 2^-22
    assert metrics["task_vector_norms"] == pytest.approx([root, 2 * root], rel=1e-5)
    assert metrics["delta_norm"] == pytest.approx(3 * root, rel=1e-5)
    assert metrics["extrapolation"] == pytest.approx(1.5, rel=1e-5)
    assert metrics["cosines"] == [pytest.approx([1, 1], rel=1e-5)] * 2
    assert metrics["kept_share"] == [1, 1]
    _, metrics = merge(tmp_path, base, [one, two], name="trimmed", method="ties", density=0.5)
    assert all(0.5 <= share <= 1 for share in metrics["kept_share"])


def test_killed_merge_resumes_to_the_same_bytes(tmp_path, trio, monkeypatch):
    (base, *models), _ = trio
    whole, expected = merge(tmp_path, base, models, method="della", density=0.5)
    original, calls = stream._merge_one, []

    def dies(*args):
        calls.append(args[1].name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(stream, "_merge_one", dies)
    with pytest.raises(KeyboardInterrupt):
        merge(tmp_path, base, models, name="killed", method="della", density=0.5)
    (tmp_path / "killed").rmdir()
    logs = []
    again, metrics = merge(tmp_path, base, models, name="killed", logs=logs, method="della", density=0.5)
    assert logs == ["resuming after 2 of 4 tensors"]
    assert len(calls) == 3 + 2
    assert contents(again) == contents(whole)
    assert metrics == expected


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ({**SHAPES, EMBED: (14, 6), HEAD: (14, 6)}, "is 12×6 in base but 14×6 in odd.*vocabularies differ"),
        ({**SHAPES, "model.norm.weight": (7,)}, "'model.norm.weight' is 6 in base but 7 in odd.*architecture and size"),
        ({**SHAPES, "extra.weight": (2,)}, r"odd has 1 tensor more \(such as 'extra.weight'\)"),
        ({n: s for n, s in SHAPES.items() if n != "model.norm.weight"}, "base has 1 tensor more"),
        ({n: s for n, s in SHAPES.items() if n != HEAD}, "base has 1 tensor more"),
    ],
)
def test_other_tensors_are_refused_by_name(tmp_path, trio, shapes, says):
    (base, one, _), _ = trio
    odd, _ = make(tmp_path / "odd", shapes=shapes)
    with pytest.raises(InputError, match=says):
        merge(tmp_path, base, [one, odd])


def test_other_architecture_is_refused_and_other_rope_noted(tmp_path, trio):
    (base, *_), _ = trio
    logs = []
    odd, _ = make(tmp_path / "odd", config={**CONFIG, "rope_theta": 5e5})
    wide, _ = make(tmp_path / "wide", config={**CONFIG, "rope_theta": 1e4, "num_attention_heads": 3})
    base.path.joinpath("config.json").write_text(json.dumps({**CONFIG, "rope_theta": 1e4}))
    merge(tmp_path, base, [odd], logs=logs)
    assert logs == ["note: rope_theta is 10000.0 in base but 500000.0 in odd"]
    with pytest.raises(InputError, match="num_attention_heads is 2 in base but 3 in wide"):
        merge(tmp_path, base, [wide], name="no")


def test_other_tokenizer_is_refused_unless_told(tmp_path, trio):
    (base, *_), _ = trio
    odd, _ = make(tmp_path / "odd", words="abcdefghijkX")
    with pytest.raises(InputError, match="base and odd differ: 1 of 12 ids, first 11: 'l' and 'X'"):
        merge(tmp_path, base, [odd])
    logs = []
    merge(tmp_path, base, [odd], name="told", same_tokenizer=False, logs=logs)
    assert "1 of 12 ids" in logs[0]
    # the same tokens and merges in another spelling are the same tokenizer
    spec = tokenizer("abcdefghijkl", truncation=None)
    spec["model"]["merges"] = [["a", "b"]]
    odd.path.joinpath("tokenizer.json").write_text(json.dumps(spec))
    merge(tmp_path, base, [odd], name="respelt")
    spec["model"]["merges"] = [["b", "a"]]
    odd.path.joinpath("tokenizer.json").write_text(json.dumps(spec))
    with pytest.raises(InputError, match="other merges"):
        merge(tmp_path, base, [odd], name="reordered")


TIED = {**CONFIG, "tie_word_embeddings": True}
NO_HEAD = {name: shape for name, shape in SHAPES.items() if name != HEAD}


def test_tied_model_lends_its_embedding_as_head(tmp_path, trio):
    (base, *_), (t0, *_) = trio
    tied, t = make(tmp_path / "tied", shapes=NO_HEAD, config=TIED)
    out, _ = merge(tmp_path, base, [tied], dtype="float32")
    with TensorFolder(out) as merged:
        assert np.array_equal(merged.read(HEAD), t0[HEAD] + (t[EMBED] - t0[HEAD]))


def test_tied_base_takes_a_copy_of_the_embedding_but_no_head_of_its_own(tmp_path):
    base, _ = make(tmp_path / "base", shapes=NO_HEAD, config=TIED)
    _, t = make(tmp_path / "first", seed=1)
    copy, _ = make(tmp_path / "copy", values={**t, HEAD: t[EMBED]})
    own, _ = make(tmp_path / "own", seed=1)
    out, _ = merge(tmp_path, base, [copy], tokenizer="first")
    with TensorFolder(out) as merged:
        assert HEAD not in merged
    assert json.loads((out / "config.json").read_text())["tie_word_embeddings"] is True
    with pytest.raises(InputError, match=r"'lm_head.weight' of own has learnt its own values, but base ties it"):
        merge(tmp_path, base, [own], name="no")
    stored, _ = make(tmp_path / "stored", values={**t, HEAD: t[EMBED]}, config=TIED)
    with pytest.raises(InputError, match="of own has learnt its own values, but stored ties it"):
        merge(tmp_path, stored, [own], name="neither")


def test_broken_checkpoint_is_named(tmp_path, trio):
    (base, *_), _ = trio
    bad = np.ones((9, 6), np.float32)
    bad[3, 3] = np.nan
    broken, _ = make(tmp_path / "broken", values={"model.layers.0.mlp.up_proj.weight": bad})
    with pytest.raises(InputError, match=r"'model.layers.0.mlp.up_proj.weight' holds NaN .* in broken"):
        merge(tmp_path, base, [broken])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"method": "tie", "normalize": True}, "Did you mean 'ties'"),
        ({"method": "ties"}, "does not say whether it normalizes"),
        ({"method": "ties", "normalise": True}, "Did you mean 'normalize'"),
        ({"method": "ties", "normalize": True, "weights": []}, "not empty lists"),
        ({"method": "ties", "normalize": True, "slices": []}, "not empty lists"),
        ({"method": "slerp", "normalize": True}, "slerp has no normalize"),
        ({"method": "karcher", "same_tokenizer": False, "tokenizer": "union"}, "rows by number"),
    ],
)
def test_params_are_refused_before_anything_runs(given, says):
    with pytest.raises(RecipeError, match=says):
        parse_params(Params, given, where="test")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"weights": [1.0]}, "weights has 1 values for 2 models"),
        ({"method": "ties", "density": [0.5, 0.5, 0.5]}, "density has 3 values for 2 models"),
        ({"method": "ties", "density": 0}, "must be above 0"),
        ({"method": "ties", "density": [0.5, 1.5]}, "at most 1"),
        ({"density": 0.5}, "task_arithmetic has no density"),
        ({"method": "ties", "k": 1}, "ties has no k"),
        ({"method": "linear", "lambda_": 2}, "only the weights"),
        ({"method": "slerp", "normalize": None, "weights": [1, 1]}, "slerp has no weights"),
        ({"method": "passthrough", "normalize": None}, "passthrough merges 1 model, not 2"),
        ({"method": "karcher", "normalize": None, "weights": [1, -1]}, "no weights below zero"),
        ({"method": "breadcrumbs", "gamma": 1.0}, "gamma = 1.0 must be at least 0 and below 1"),
        ({"method": "sce", "normalize": None, "density": [0.5, 1]}, "sce has one density"),
        ({"method": "task_arithmetic", "compat": "mergekit"}, "task_arithmetic has no compat"),
        ({"method": "ties", "per_row": True}, "ties has no per_row"),
        ({"tokenizer": "three"}, "there is no model 'three' in this merge"),
        ({"chat_template": "chatml2"}, "there is no chat template 'chatml2'"),
        ({"method": "della", "density": 0.9}, "epsilon = 0.15 does not fit density = 0.9.*below 0.1"),
    ],
)
def test_knobs_out_of_range_or_without_effect_are_refused(tmp_path, trio, given, says):
    (base, *models), _ = trio
    with pytest.raises(RecipeError, match=says):
        merge(tmp_path, base, models, **given)


def test_lenient_merge_takes_mergekits_default(tmp_path, trio):
    (base, *models), _ = trio
    for method, normalize in [("ties", True), ("dare_ties", False), ("della_linear", False), ("linear", True)]:
        _, metrics = merge(tmp_path, base, models, name=method, method=method, normalize=None, strict=False)
        assert metrics["normalize"] is normalize


def test_only_what_was_set_enters_the_key():
    params = parse_params(Params, {"method": "dare_ties", "normalize": False, "density": 1}, where="test")
    assert non_default(params) == {"method": "dare_ties", "normalize": False}


def test_estimate_scales_with_parameters_and_memory_does_not():
    params = Params(method="ties", normalize=True)
    small, large = (
        STAGE.estimate(params, {"base": [{"parameters": p}], "models": [{"parameters": p}] * 2}) for p in (1e6, 1e10)
    )
    assert (small["parameters"], small["disk_bytes"]) == (1e6, 4e6)
    sized = {"base": [{"parameters": 1e6, "disk_bytes": 2.1e6}], "models": [{"parameters": 1e6, "disk_bytes": 9e6}]}
    assert STAGE.estimate(params, sized)["disk_bytes"] == 2.1e6
    halved = Params(method="ties", normalize=True, dtype="bfloat16")
    assert STAGE.estimate(halved, sized)["disk_bytes"] == 2e6
    assert large["seconds"] == pytest.approx(1e4 * small["seconds"])
    assert small["memory_bytes"] == large["memory_bytes"] < 1e9


def test_stage_loads_without_numpy_or_torch():
    code = "import sys, sampan.merge.weights, sampan.merge.mergekit_yaml; print({'numpy', 'torch'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_merged_model_loads_and_runs_in_transformers(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2
    )
    artifacts, states = [], []
    for seed, name in enumerate(("base", "one", "two")):
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(config)
        model.save_pretrained(tmp_path / name)
        states.append(model.state_dict())
        artifacts.append(Artifact(path=tmp_path / name, kind="checkpoint", digest=name, name=name))
    out, _ = merge(tmp_path, artifacts[0], artifacts[1:])
    merged = transformers.LlamaForCausalLM.from_pretrained(out)
    for name, tensor in merged.state_dict().items():
        a, b, c = (state[name] for state in states)
        torch.testing.assert_close(tensor, b + c - a, rtol=0, atol=1e-6)  # float32 sums in another order
    assert torch.isfinite(merged(torch.arange(8)[None]).logits).all()
