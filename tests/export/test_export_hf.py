from __future__ import annotations

import json

import pytest

from sampan.artifacts.scores import Score, write_scores
from sampan.core.errors import StageError
from sampan.core.stage import Artifact
from sampan.export.hf import STAGE

MANIFEST = {
    "stage": "train.sft",
    "revision": 1,
    "params": {"lr": 0.001, "note": "a|b"},
    "inputs": {"model": [{"name": "cpt", "kind": "checkpoint", "digest": "c" * 64}]},
    "licenses": ["cc-by-sa-4.0", "Llama 2 Community License"],
    "times": {"started": "2020-02-02T02:02:02Z"},
}


def logits(folder):
    import torch

    from sampan.model.checkpoint import load_model

    with torch.inference_mode():
        return load_model(folder)(input_ids=torch.arange(40)[None]).logits


def test_keep_gives_equal_logits_and_bytes(spm_folder, make_model, run_stage):
    model = make_model(spm_folder)
    out, metrics = run_stage(STAGE, model)
    assert (out / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert (logits(out) == logits(model)).all()
    assert metrics["parameters"] > 0
    again, _ = run_stage(STAGE, model)
    assert {f.name: f.read_bytes() for f in out.iterdir()} == {f.name: f.read_bytes() for f in again.iterdir()}


def test_bfloat16_rounds_each_weight(spm_folder, make_model, run_stage):
    import torch
    from safetensors.torch import load_file

    model = make_model(spm_folder)
    out, _ = run_stage(STAGE, model, dtype="bfloat16")
    before, after = load_file(model / "model.safetensors"), load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], before[name].to(torch.bfloat16)) for name in before)
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"


def test_sharded_checkpoint_keeps_its_shards(spm_folder, make_model, run_stage, tmp_path):
    from transformers import AutoModelForCausalLM

    from sampan.model.tokenizer import copy_tokenizer

    model, sharded = make_model(spm_folder), tmp_path / "sharded"
    AutoModelForCausalLM.from_pretrained(model).save_pretrained(sharded, max_shard_size="100KB")
    copy_tokenizer(model, sharded)
    out, _ = run_stage(STAGE, sharded, dtype="bfloat16")
    assert len(list(out.glob("model-*.safetensors"))) > 1
    # bfloat16 keeps 8 bits of each weight; two layers of width 48 lose well under 0.1 in logits of size about 1.
    assert (logits(out) - logits(model)).abs().max() < 0.1


def test_generation_defaults_and_stops(byte_level_folder, make_model, run_stage):
    from transformers import AutoTokenizer, GenerationConfig

    model = make_model(byte_level_folder, "qwen2")
    out, _ = run_stage(STAGE, model, temperature=0.3, stop_tokens=["<|im_start|>"])
    config, tokenizer = GenerationConfig.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    ends = ["<|endoftext|>", "<|im_end|>", "<|im_start|>"]
    assert config.eos_token_id == tokenizer.convert_tokens_to_ids(ends)
    assert (config.temperature, config.do_sample) == (0.3, True)
    greedy, _ = run_stage(STAGE, model, temperature=0)
    assert GenerationConfig.from_pretrained(greedy).do_sample is False
    with pytest.raises(StageError, match=r"im_strat.*Did you mean"):
        run_stage(STAGE, model, stop_tokens=["<|im_strat|>"])


def test_card_lists_licences_lineage_and_scores(spm_folder, make_model, run_stage, tmp_path):
    score = Score(
        model="sft", model_digest="d" * 64, task="xcopa", language="tha_Thai", metric="accuracy", value=0.625,
        stderr=0.05, n=100, higher_is_better=True, prompt_digest="e" * 64, revision=1,
    )  # fmt: skip
    folder = tmp_path / "scores"
    folder.mkdir()
    write_scores(folder, [score])
    scores = Artifact(path=folder, kind="scores", digest="f" * 64, name="s", manifest={"licenses": ["CC BY-NC 4.0"]})
    out, _ = run_stage(STAGE, make_model(spm_folder), manifest=MANIFEST, scores=scores, languages=["tha_Thai"])
    card = (out / "README.md").read_text(encoding="utf-8")
    for licence in (*MANIFEST["licenses"], "CC BY-NC 4.0"):
        assert f"- {licence}\n" in card
    assert "Read as non-commercial: CC BY-NC 4.0.\n" in card
    assert "Read as restricted: Llama 2" in card
    assert "license: other" in card
    assert 'language: ["tha"]' in card
    assert "c" * 64 in card
    assert "train.sft" in card
    assert "0.625 ± 0.05" in card
    assert '"a\\|b"' in card
    assert "2020" not in card, "times must not become part of the bytes"


def test_card_says_when_nothing_is_recorded(spm_folder, make_model, run_stage):
    out, _ = run_stage(STAGE, make_model(spm_folder))
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "No licence is recorded" in card
    assert "not recorded" in card
    assert "not stated" in card


def damaged(model, name, change):
    from safetensors.torch import load_file, save_file

    tensors = load_file(model / "model.safetensors")
    change(tensors, name)
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    return model


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tensors, name: tensors.pop(name), "1 missing"),
        (lambda tensors, name: tensors.update({name: tensors[name][:-1].clone()}), "the config says"),
        (lambda tensors, name: tensors.update(extra=tensors[name].clone()), "1 unknown"),
        (lambda tensors, name: tensors[name].view(-1)[3].fill_(float("nan")), "NaN"),
    ],
)
def test_bad_weights_are_refused(spm_folder, make_model, run_stage, change, says):
    model = damaged(make_model(spm_folder), "model.layers.1.mlp.up_proj.weight", change)
    with pytest.raises(StageError, match=says):
        run_stage(STAGE, model)


def test_tokenizer_larger_than_the_embedding_is_refused(spm_folder, make_model, run_stage):
    with pytest.raises(StageError, match="embedding 100 rows"):
        run_stage(STAGE, make_model(spm_folder, vocab_size=100))
