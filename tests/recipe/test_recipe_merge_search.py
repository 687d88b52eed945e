"""merge.search on a known surface: it finds the bottom within its budget, goes on after a kill, says what it did."""

import json
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from sampan.core.errors import RecipeError
from sampan.core.identity import digest_tree
from sampan.core.params import parse_params
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.model.tensors import TensorFolder, TensorPlan, TensorWriter
from sampan.recipe.search import trials
from sampan.recipe.search.picture import draw
from sampan.recipe.search.stage import STAGE, Params

BOTTOM = {"weights.0": 0.3, "weights.1": 0.8, "density": 0.7}
CONFIG = {"model_type": "llama", "num_attention_heads": 2, "tie_word_embeddings": False, "dtype": "bfloat16"}


def model(folder, seed):
    folder.mkdir()
    writer = TensorWriter(folder, [TensorPlan("model.norm.weight", "BF16", (64,))])
    writer.write("model.norm.weight", np.random.default_rng(seed).standard_normal(64, np.float32))
    writer.close()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    tokenizer = {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": []}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return Artifact(path=folder, kind="checkpoint", digest=folder.name, name=folder.name)


@pytest.fixture
def trio(tmp_path):
    base, *models = [model(tmp_path / name, seed) for seed, name in enumerate(("base", "one", "two"))]
    return Inputs({"base": [base], "models": models})


@pytest.fixture
def bowl(monkeypatch):
    """Trials that measure how far a point is from BOTTOM instead of merging; dare_ties is worse by a fifth. The calls
    made are listed."""
    calls = []

    def trial(job, out):
        calls.append(job["point"])
        point = job["point"]
        places = dict(zip(("weights.0", "weights.1"), point["weights"], strict=True))
        places |= {"density": point["density"]} if "density" in point else {}
        loss = 1 + sum((value - BOTTOM[name]) ** 2 for name, value in places.items())
        loss += 0.2 * (point["method"] == "dare_ties")
        return {"measures": {"bits_per_byte": {"value": loss, "higher_is_better": False, "rows": 1}}}

    monkeypatch.setattr(trials, "trial_job", trial)
    return calls


def search(tmp_path, inputs, *, name="out", **given):
    out, state = tmp_path / name, tmp_path / f"{name}-state"
    out.mkdir()
    state.mkdir(exist_ok=True)
    params = parse_params(Params, {"methods": ["task_arithmetic"], **given}, where="test")
    kinds = {role: [item.kind for item in items] for role, items in inputs.items()}
    STAGE.check_inputs({"held_out": ["documents"], **kinds}, params, where="test")  # which the bowl stands for
    return out, STAGE.run(params, inputs, Runtime(out=out, state=state))


@pytest.mark.parametrize(("how", "near"), [("cma_es", 0.03), ("random", 0.15), ("grid", 0.15)])
def test_finds_the_bottom_within_its_budget(tmp_path, trio, bowl, how, near):
    # 49 trials of two weights: a 7×7 grid is at most 1/12 away in each; random ones hit a disc of 0.15 but for
    # (1 - 0.07)^48 = 3 % of seeds; CMA-ES has eight generations, each of which halves the distance or so
    out, metrics = search(tmp_path, trio, how=how, num_trials=49)
    assert len(bowl) == metrics["trials"] == 49
    found = np.array(metrics["best"]["weights"])
    assert np.hypot(*(found - [BOTTOM["weights.0"], BOTTOM["weights.1"]])) < near
    kept = json.loads((out / "search.json").read_text())
    assert len(kept["trials"]) == 49
    assert kept["best"]["loss"] == min(trial["loss"] for trial in kept["trials"])


def test_the_best_merge_is_what_is_written(tmp_path, trio, bowl):
    out, metrics = search(tmp_path, trio, num_trials=9, how="grid")
    tensors = [TensorFolder(item.path) for item in (*trio["base"], *trio["models"])]
    base, *models = [each.read("model.norm.weight") for each in tensors]
    exact = base + sum(np.float32(w) * (m - base) for w, m in zip(metrics["best"]["weights"], models, strict=True))
    with TensorFolder(out) as merged:
        # half a bfloat16 step (2^-8) of relative error, and float32 rounding of terms below 8
        np.testing.assert_allclose(merged.read("model.norm.weight"), exact, rtol=2**-8, atol=1e-5)


def test_methods_share_the_budget_and_the_better_one_wins(tmp_path, trio, bowl):
    _, metrics = search(tmp_path, trio, methods=["dare_ties", "task_arithmetic"], how="random", num_trials=31)
    tried = [point["method"] for point in bowl]
    assert {name: tried.count(name) for name in set(tried)} == {"dare_ties": 16, "task_arithmetic": 15}
    assert metrics["best"]["method"] == "task_arithmetic"
    assert all(0.5 <= point["density"] <= 1 for point in bowl if point["method"] == "dare_ties")


def test_goes_on_after_a_kill_to_the_same_bytes(tmp_path, trio, bowl, monkeypatch):
    whole, _ = search(tmp_path, trio, num_trials=20)
    before, trial = len(bowl), trials.trial_job

    def dies(job, out):
        if len(bowl) == before + 9:
            raise KeyboardInterrupt
        return trial(job, out)

    monkeypatch.setattr(trials, "trial_job", dies)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, trio, name="killed", num_trials=20)
    monkeypatch.setattr(trials, "trial_job", trial)
    (tmp_path / "killed").rmdir()
    again, _ = search(tmp_path, trio, name="killed", num_trials=20)
    assert len(bowl) == before + 20, "the nine finished trials are not made again"
    assert digest_tree(again) == digest_tree(whole)


def test_starts_from_the_merge_you_have_and_is_never_worse(tmp_path, trio, bowl):
    have = {"method": "task_arithmetic", "weights": [0.31, 0.79]}
    _, metrics = search(tmp_path, trio, start=[have], num_trials=7)
    assert bowl[0] == have
    assert len(bowl) == 7
    assert metrics["loss"] <= 1 + 2 * 0.01**2 + 1e-9


def test_measures_are_weighed_and_unknown_ones_refused(tmp_path, trio, bowl):
    measures = {
        "bits_per_byte": {"value": 2.0, "higher_is_better": False},
        "accuracy": {"value": 0.5, "higher_is_better": True},
    }
    assert trials.loss_of(measures, {}) == 1.5
    assert trials.loss_of(measures, {"accuracy": 2}) == -1
    with pytest.raises(RecipeError, match="no metric 'acuracy'"):
        search(tmp_path, trio, num_trials=2, how="random", measures={"acuracy": 1})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"methods": ["tie"]}, "no merge method 'tie'"),
        ({"methods": []}, "must not be empty"),
        ({"weights": [[0, 1]] * 3}, "3 ranges for 2 models"),
        ({"how": "grid", "num_trials": 3}, "at least 4 trials"),
        ({"start": [{"method": "ties", "weights": [1, 1]}]}, "names one of the methods"),
        ({"start": [{"method": "task_arithmetic", "weights": [1, 1]}] * 3, "num_trials": 2}, "more points"),
        ({"evaluation": {"max_itms": 3}}, "no parameter 'max_itms'"),
    ],
)
def test_what_cannot_be_is_said_before_any_trial(tmp_path, trio, bowl, given, message):
    with pytest.raises(RecipeError, match=message):
        search(tmp_path, trio, **given)
    assert not bowl


def test_says_how_to_get_cma_es(tmp_path, trio, bowl, monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(RecipeError, match="needs the package cmaes"):
        search(tmp_path, trio)


def test_picture_shows_every_trial_and_rings_the_best():
    made = [
        {"point": {"method": "ties", "weights": [x, 1 - x], "density": 0.5, "lambda_": 1.0}, "loss": abs(x - 0.4)}
        for x in np.linspace(0, 1, 11).tolist()
    ]
    root = ET.fromstring(draw(made, made[4]))
    circles = [node for node in root.iter() if node.tag.endswith("circle")]
    rings = [node for node in circles if node.get("fill") == "none"]
    # three panels: loss over each weight, and the surface of both; density and λ were fixed
    assert len(rings) == 3
    assert len(circles) - len(rings) == 3 * 11
