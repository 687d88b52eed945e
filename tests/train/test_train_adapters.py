"""LoRA and DoRA: few weights are trained, a plain checkpoint comes out, and resuming and preferences work."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch

from sampan.artifacts.conversations import Preference, write_preferences
from sampan.core.errors import RecipeError, StageError
from sampan.core.identity import digest_tree
from sampan.core.params import parse_params
from sampan.train.causal_lm import STAGE
from sampan.train.preference import STAGE as PREFERENCE

VALUES = {"context_len": 32, "micro_batch_tokens": 256, "lr": 1e-2, "eps": 1e-8, "global_batch_tokens": 256}
EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture
def run(tiny, shards, run_stage):
    pytest.importorskip("peft")

    def call(name="run", **values):
        given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [shards])}
        return run_stage(STAGE, given, name, **{**VALUES, "num_tokens": 256 * 10, "lora_rank": 2, **values})

    return call


@pytest.mark.parametrize("dora", [False, True])
def test_adapters_learn_and_a_plain_checkpoint_comes_out(run, tiny, weights_of, dora):
    metrics, out = run(dora=dora)
    before, after = weights_of(tiny), weights_of(out)
    assert {name: t.shape for name, t in after.items()} == {name: t.shape for name, t in before.items()}
    assert json.loads((out / "config.json").read_text()) == json.loads((tiny / "config.json").read_text())
    assert metrics["loss_last"] < metrics["loss_first"]
    assert metrics["parameters"] == sum(tensor.numel() for tensor in before.values())
    assert metrics["trained_parameters"] < metrics["parameters"] / 4
    for name in before:
        changed = not torch.equal(after[name], before[name])
        assert changed == ("_proj" in name), name
        if changed and not dora:
            # the change is a product of rank 2; what is left is float32's rounding of the sum
            sizes = torch.linalg.svdvals(after[name] - before[name])
            assert sizes[2] < 1e-4 * sizes[0], name


def test_only_what_is_named_gets_an_adapter(run, tiny, weights_of):
    before, after = weights_of(tiny), weights_of(run(lora_targets=("*q_proj", "*.1.mlp.up_proj"))[1])
    assert {name for name in before if not torch.equal(after[name], before[name])} == {
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.1.self_attn.q_proj.weight",
        "model.layers.1.mlp.up_proj.weight",
    }
    with pytest.raises(StageError, match="no linear layer matches"):
        run("none", lora_targets=("*nothing*",))


def test_new_rows_are_trained_beside_the_adapters(run, tiny, weights_of):
    before, after = weights_of(tiny), weights_of(run(new_rows_from=200, train_only=("*norm*",))[1])
    assert torch.equal(after[EMBEDDING][:200], before[EMBEDDING][:200])
    assert not torch.equal(after[EMBEDDING][200:], before[EMBEDDING][200:])
    assert not torch.equal(after["model.norm.weight"], before["model.norm.weight"])


def test_a_resumed_run_ends_with_the_same_bytes(run):
    def stop(done, total, unit):
        if done == 256 * 6:
            raise KeyboardInterrupt

    whole = run("whole", dora=True, keep_adapter=True)[1]
    with pytest.raises(KeyboardInterrupt):
        run("broken", dora=True, keep_adapter=True, on_progress=stop, checkpoint_seconds=0)
    assert digest_tree(run("broken", fresh_out=False, dora=True, keep_adapter=True)[1]) == digest_tree(whole)


@pytest.mark.parametrize("values", [{}, {"dora": True}, {"new_rows_from": 200, "lora_alpha": 3.0}], ids=str)
def test_the_kept_adapter_on_the_base_is_the_merged_model(run, tiny, values):
    from peft import PeftModel

    from sampan.model.checkpoint import load_model

    _, out = run(keep_adapter=True, **values)
    ids = torch.arange(100, 120)[None]
    with torch.no_grad():
        merged = load_model(out)(ids).logits
        adapted = PeftModel.from_pretrained(load_model(tiny), out / "adapter")(ids).logits
        # the same sums in another order
        torch.testing.assert_close(adapted, merged, rtol=1e-4, atol=1e-4)
        assert (load_model(tiny)(ids).logits - merged).abs().max() > 0.01


def test_the_reference_of_preferences_is_the_model_without_adapters(run, tiny, run_stage, tmp_path):
    folder = tmp_path / "preferences"
    folder.mkdir()
    prompt = [{"role": "user", "content": "the tin"}]
    rows = [Preference(id=str(n), prompt=prompt, chosen="in tin", rejected="a hat" * (1 + n % 2)) for n in range(8)]
    write_preferences(folder, rows)
    given = {"model": ("checkpoint", [tiny]), "preferences": ("preferences", [folder])}
    values = {"context_len": 64, "lr": 5e-3, "eps": 1e-8, "epochs": 6, "global_batch_pairs": 4, "lora_rank": 4}
    _, out = run_stage(PREFERENCE, given, "dpo", **values)
    log = [json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()]
    # adapters begin as nothing: model and reference are the same; float32 sums in other micro-batches
    assert log[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert log[-1]["loss"] < log[0]["loss"]


def test_adapters_without_peft_or_without_a_rank_are_refused(tiny, shards, run_stage, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [shards])}
    with pytest.raises(StageError, match=r"need peft .*sampan\[adapters\]"):
        run_stage(STAGE, given, **{**VALUES, "num_tokens": 256, "lora_rank": 2})
    with pytest.raises(RecipeError, match="need lora_rank"):
        parse_params(STAGE.params, {"dora": True}, where="here")
