"""Base, first stage, second stage: what is forgotten is measured while it happens, and hybrids keep their ratio."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sampan.core.errors import RecipeError, StageError
from sampan.core.params import parse_params
from sampan.train.causal_lm import STAGE, Phase

VALUES = {"context_len": 32, "micro_batch_tokens": 256, "lr": 1e-2, "eps": 1e-8, "global_batch_tokens": 256}


@pytest.fixture(scope="module")
def words(make_shards, tmp_path_factory):
    """Two invented languages of printable ASCII: shards to train on and shards held out."""
    base = tmp_path_factory.mktemp("lineage")

    def shards(name: str, count: int, seed: int, languages: dict[str, int]):
        rng = np.random.default_rng(seed)
        streams = {
            language: [[1, *(low + rng.zipf(1.6, 24) % 30).tolist()] for _ in range(count)]
            for language, low in languages.items()
        }
        return make_shards(base / name, streams)

    english, thai = {"eng_Latn": 270}, {"tha_Thai": 310}
    return {
        "english": shards("english", 120, 0, english),
        "thai": shards("thai", 120, 1, thai),
        "held_out": shards("held", 20, 2, english | thai),
    }


def test_forgetting_is_seen_while_it_happens_and_replay_lessens_it(tiny, words, run_stage):
    def run(name, model, tokens, **values):
        given = {"model": ("checkpoint", [model]), "tokens": ("tokens", [words[key] for key in tokens])}
        given["held_out"] = ("tokens", [words["held_out"]])
        return run_stage(STAGE, given, name, **{**VALUES, "num_tokens": 256 * 20, **values})

    first, base = run("base", tiny, ["english"])
    second, stage1 = run("stage1", base, ["english", "thai"])
    alone, out = run("stage2", stage1, ["thai"], held_out_every=5)
    replay, _ = run("replay", stage1, ["thai", "english"], mixture=(Phase(until=1.0, weights={"0/*": 3, "1/*": 1}),))
    told = "held_out_bits_per_byte"
    assert first[told]["last"]["eng_Latn"] < first[told]["first"]["eng_Latn"]
    # a stage begins where the one before it ended
    for one, after in ((first, second), (second, alone), (second, replay)):
        assert after[told]["first"] == pytest.approx(one[told]["last"], rel=1e-5)
    forgotten = alone[told]["last"]["eng_Latn"] - alone[told]["first"]["eng_Latn"]
    kept = replay[told]["last"]["eng_Latn"] - replay[told]["first"]["eng_Latn"]
    assert forgotten > 0.1 > kept
    rows = [json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()]
    course = [row["held_out"]["eng_Latn"] for row in rows if "held_out" in row]
    assert len(course) == 5
    assert course == sorted(course), "it is seen at every look, not at the end only"


def test_a_hybrid_keeps_its_ratio_within_one_percent(tiny, words, make_shards, run_stage, tmp_path):
    rng = np.random.default_rng(3)
    chats = [[1, *rng.integers(270, 300, size).tolist()] for size in rng.integers(8, 30, 60)]
    masks = [[0] * (len(ids) // 2) + [1] * (len(ids) - len(ids) // 2) for ids in chats]
    talk = make_shards(tmp_path / "talk", {"eng_Latn": chats}, masks={"eng_Latn": masks})
    given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [words["thai"], talk])}
    mixture = (Phase(until=0.5, weights={"0/*": 0.7, "1/*": 0.3}), Phase(until=1.0, weights={"0/*": 0.2, "1/*": 0.8}))
    metrics, _ = run_stage(STAGE, given, **{**VALUES, "num_tokens": 256 * 20, "mixture": mixture})
    assert metrics["mixture"] == pytest.approx({"0/tha_Thai": 0.45, "1/eng_Latn": 0.55}, abs=0.01)
    # half of a conversation is trained, all of a text but its first token
    assert metrics["trained_tokens"] < 0.8 * metrics["tokens"]


STABLE = {"schedule": "constant", "warmup_steps": 2, "num_tokens": 256 * 8}
DECAY = {"schedule": "linear", "warmup_share": 0.0, "skip_tokens": 256 * 8, "num_tokens": 256 * 4}


def test_a_decay_branched_off_a_stable_run_is_the_decay_of_one_run(tiny, words, run_stage):
    """Bit by bit: weights, moments, learning rate and place in the streams all go on."""

    def run(name, model, **values):
        given = {"model": ("checkpoint", [model]), "tokens": ("tokens", [words["english"], words["thai"]])}
        return run_stage(STAGE, given, name, **{**VALUES, **values})[1]

    whole = run("whole", tiny, schedule="wsd", warmup_steps=2, decay_share=1 / 3, num_tokens=256 * 12)
    stable = run("stable", tiny, keep_moments=True, **STABLE)
    branch = run("branch", stable, with_moments=True, **DECAY)
    fresh = run("fresh", stable, **DECAY)
    expected, found, other = (load_file(folder / "model.safetensors") for folder in (whole, branch, fresh))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not all(torch.equal(other[name], expected[name]) for name in expected), "moments matter"
    with pytest.raises(StageError, match="keep_moments"):
        run("none", tiny, with_moments=True, **DECAY)


def test_tokens_to_skip_are_whole_steps():
    with pytest.raises(RecipeError, match="multiple of global_batch_tokens"):
        parse_params(STAGE.params, {"skip_tokens": 100, "global_batch_tokens": 256}, where="here")
    with pytest.raises(RecipeError, match="not for moments in int8"):
        parse_params(STAGE.params, {"keep_moments": True, "moments": "int8"}, where="here")
