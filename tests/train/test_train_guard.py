"""Steps that break are left out, with a record, the same way in an uninterrupted and in a resumed run."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sampan.core.errors import RecipeError, StageError
from sampan.core.identity import digest_tree
from sampan.core.params import parse_params
from sampan.train.causal_lm import STAGE
from sampan.train.guard import spike
from sampan.train.stepping import Stepper
from sampan.train.trackers import FILE

VALUES = {"context_len": 32, "micro_batch_tokens": 256, "lr": 3e-3, "eps": 1e-8, "global_batch_tokens": 256}
STEPS = 30


@pytest.fixture
def run(tiny, shards, run_stage):
    def call(name="run", **values):
        given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [shards])}
        return run_stage(STAGE, given, name, **{**VALUES, "num_tokens": 256 * STEPS, **values})

    return call


@pytest.fixture
def plant(monkeypatch):
    """Multiply gradients and loss of some steps."""
    before, gradients = Stepper.step, Stepper._gradients

    def planted(steps: dict[int, float]):
        def step(self, progress, lr):
            self.at = progress.step
            before(self, progress, lr)

        def spoilt(self, pieces, units):
            sums, streams = gradients(self, pieces, units)
            if factor := steps.get(self.at):
                for parameter in self._trainable:
                    parameter.grad.mul_(factor)
                sums["loss"] *= factor
            return sums, streams

        monkeypatch.setattr(Stepper, "step", step)
        monkeypatch.setattr(Stepper, "_gradients", spoilt)

    return planted


def log(folder):
    return [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]


def test_a_step_that_is_not_a_number_is_left_out_with_a_record(run, plant, weights_of):
    plant({7: math.nan, 9: math.inf})
    metrics, out = run()
    rows = log(out)
    assert [row["left_out"]["first"] for row in rows if "left_out" in row] == [7, 9]
    assert [skip["fault"].split(",")[0] for skip in metrics["left_out"]] == ["loss nan", "loss inf"]
    assert metrics["tokens"] == (STEPS - 2) * 256
    assert metrics["steps"] == STEPS
    assert all(tensor.isfinite().all() for tensor in weights_of(out).values())
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_the_weights_are_those_of_the_last_good_step(run, plant, weights_of, tmp_path):
    """Leaving out the last step is ending one step earlier."""
    clean = run("clean", schedule="constant", warmup_steps=5)[1]
    with pytest.raises(KeyboardInterrupt):
        run("short", schedule="constant", warmup_steps=5, on_progress=_stop_at(STEPS - 1), checkpoint_seconds=0)
    plant({STEPS - 1: math.nan})
    _, out = run("short", fresh_out=False, schedule="constant", warmup_steps=5)
    plant({STEPS - 1: math.nan})
    _, whole = run("whole", schedule="constant", warmup_steps=5)
    assert digest_tree(out) == digest_tree(whole) != digest_tree(clean)


def _stop_at(step):
    def stop(done, total, unit):
        if done == step * 256:
            raise KeyboardInterrupt

    return stop


SPIKES = {"spike_deviations": 10.0, "spike_window": 12}


def test_a_planted_spike_is_left_out_and_a_calm_run_is_not_changed(run, plant):
    calm, guarded = run("calm")[1], run("guarded", **SPIKES)[1]
    assert digest_tree(calm) == digest_tree(guarded)
    plant({20: 50.0})
    metrics, _ = run("spiked", **SPIKES)
    assert [(skip["first"], skip["end"]) for skip in metrics["left_out"]] == [(20, 21)]
    assert "where the last 12 steps had" in metrics["left_out"][0]["fault"]
    assert "left_out" not in run("unguarded")[0]


def test_a_document_of_noise_in_a_learnt_corpus_is_seen_as_a_spike(make_shards, tiny, run_stage, tmp_path):
    rng = np.random.default_rng(0)
    easy = [[1, *([100 + n % 3] * 31)] for n in range(1600)]
    folder = make_shards(tmp_path / "easy", {"x": easy})
    hard = make_shards(tmp_path / "hard", {"y": [[1, *rng.integers(100, 350, 31).tolist()] for _ in range(8)]})
    given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [folder, hard])}
    phases = ({"until": 0.9, "weights": {"0/x": 1}}, {"until": 1.0, "weights": {"1/y": 1}})
    values = {**VALUES, **SPIKES, "lr": 1e-2, "num_tokens": 256 * 60, "mixture": phases}
    params = parse_params(STAGE.params, values, where="test")
    metrics, _ = run_stage(STAGE, given, **{name: getattr(params, name) for name in values})
    assert [skip["first"] for skip in metrics["left_out"]] == [54, 55, 56, 57, 58, 59]


@pytest.mark.parametrize("rewind", [0, 4])
@pytest.mark.parametrize("stop", [14, 19, 22])
def test_a_resumed_run_leaves_out_the_same(run, plant, rewind, stop, tmp_path):
    plant({17: 50.0, 18: math.nan, 21: math.nan})
    values = {**SPIKES, "rewind_steps": rewind}
    metrics, out = run("whole", **values)
    live = (tmp_path / "whole-state" / FILE).read_text().splitlines()
    assert [json.loads(line)["step"] for line in live] == [row["step"] for row in log(out)]
    with pytest.raises(KeyboardInterrupt):
        run("broken", on_progress=_stop_at(stop), checkpoint_seconds=0, **values)
    resumed, again = run("broken", fresh_out=False, **values)
    assert digest_tree(again) == digest_tree(out)
    assert resumed["left_out"] == metrics["left_out"]
    spans = [(skip["first"], skip["end"]) for skip in metrics["left_out"]]
    # with a state kept at 16 and at 20: 16 and 17 go, then 18, then 20 and 21
    assert spans == ([(16, 18), (18, 19), (20, 22)] if rewind else [(17, 18), (18, 19), (21, 22)])


def test_a_rewound_run_has_the_weights_of_the_kept_state(run, plant, weights_of, tmp_path):
    """The last steps are undone: the end is the state four steps earlier."""
    values = {"schedule": "constant", "warmup_steps": 5, "rewind_steps": 4}
    with pytest.raises(KeyboardInterrupt):
        run("early", on_progress=_stop_at(29), checkpoint_seconds=0, **values)
    kept = load_file(tmp_path / "early-state" / "step-000000028" / "00000-of-00001.safetensors")
    plant({29: math.nan})
    metrics, out = run("rewound", **values)
    for name, tensor in weights_of(out).items():
        assert torch.equal(tensor, kept[f"weight/{name}"])
    assert metrics["tokens"] == 28 * 256
    assert metrics["left_out"][0]["tokens"] == 2 * 256


def test_too_many_skips_end_the_run_with_the_reason(run, plant, tmp_path):
    plant(dict.fromkeys(range(5, STEPS), math.nan))
    with pytest.raises(StageError, match=r"broke at step 8: loss nan, .*; 3 steps were left out before.*Lower lr"):
        run("hopeless", max_skips=3)
    with pytest.raises(StageError, match="broke at step 5"):
        run("strict", max_skips=0)


def test_weights_that_are_not_numbers_are_refused_before_the_first_step(tiny, shards, run_stage, tmp_path):
    broken = shutil.copytree(tiny, tmp_path / "nan")
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    weights = load_file(broken / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    weights["model.embed_tokens.weight"][3] = math.nan  # a row that few documents read
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    given = {"model": ("checkpoint", [broken]), "tokens": ("tokens", [shards])}
    with pytest.raises(StageError, match="weights are not all numbers"):
        run_stage(STAGE, given, **{**VALUES, "num_tokens": 256})


def test_spikes_are_measured_robustly():
    calm = [3.0, 3.1, 2.9, 3.05, 2.95] * 4
    assert not spike(3.3, calm, 10)
    assert spike(6.0, calm, 10)
    assert spike(6.0, [*calm[:-2], 50.0, 80.0], 10), "two earlier spikes do not hide a third"
    assert not spike(2.0, calm, 10), "falling is no fault"
    assert not spike(1e9, calm[:5], 10), "too little is known"
    assert not spike(3.02, [3.0] * 20, 1), "a flat loss is allowed to move by a percent"


def test_guard_settings_out_of_range_are_refused():
    for values in ({"max_skips": -1}, {"rewind_steps": -1}, {"spike_window": 3}, {"spike_deviations": math.nan}):
        with pytest.raises(RecipeError, match="max_skips, rewind_steps"):
            parse_params(STAGE.params, values, where="here")
