"""A model opened in parts is the model, no process ever holds all of it; what cannot be opened so is loaded whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sampan.core.errors import InputError, StageError
from sampan.core.stage import Runtime
from sampan.train.loop import open_model
from sampan.train.opening import Unsuited, fill, materialise, open_empty
from sampan.train.settings import Optimisation

SCRIPT = Path(__file__).with_name("opening_script.py")
FAMILIES = {
    "llama": {"tie_word_embeddings": False, "rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "mistral": {"sliding_window": 7},
    "qwen2": {},
    "qwen3": {},
    "gemma2": {"sliding_window": 7},
    "gemma3_text": {"sliding_window": 7, "layer_types": ["sliding_attention"] * 3 + ["full_attention"]},
}


def save(folder: Path, family: str, **more) -> Path:
    """A random model of four blocks, in two files."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2}
    sizes |= {"head_dim": 8, "intermediate_size": 48, "vocab_size": 96, "max_position_embeddings": 64}
    config = AutoConfig.for_model(family, **{**sizes, **FAMILIES[family], **more})
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    parts = "1KB" if "hidden_size" not in more else "40MB"
    model.save_pretrained(folder, max_shard_size=parts)
    return folder


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_filled_model_is_the_model(family, dtype, tmp_path):
    from transformers import AutoModelForCausalLM

    from sampan.train.distributed import World

    folder = save(tmp_path, family)
    expected = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    model = open_empty(folder, dtype, "cpu")
    assert all(parameter.is_meta and parameter.dtype == dtype for parameter in model.parameters())
    materialise(model, model, "cpu")
    fill(model, folder, World(), None)
    ours, theirs = dict(model.named_parameters()), dict(expected.named_parameters())
    assert ours.keys() == theirs.keys()
    for name in ours:  # half-way between two bfloat16 numbers we round up, torch to the even one
        close = {} if dtype == torch.float32 else {"rtol": 2**-7, "atol": 0}
        torch.testing.assert_close(ours[name], theirs[name], **(close or {"rtol": 0, "atol": 0}))
    buffers = dict(expected.named_buffers())
    assert {name: buffer.tolist() for name, buffer in model.named_buffers()} == {
        name: buffer.tolist() for name, buffer in buffers.items()
    }
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert tied == expected.config.tie_word_embeddings
    if dtype == torch.float32:
        ids = torch.arange(3, 23)[None]
        model.set_attn_implementation("eager")
        torch.testing.assert_close(model(ids).logits, expected(ids).logits, rtol=1e-5, atol=1e-5)


def opened(folder: Path, out: Path, size: int = 2, parts: int = 1) -> list[dict[str, tuple[dict, dict]]]:
    """What each process holds and tells, of the model opened whole and in parts; and of a tiny one before."""
    tiny = save(out / "tiny-model", "qwen2")
    command = [sys.executable, str(SCRIPT), str(tiny), str(folder), str(size), str(parts), str(out)]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    kinds = {"whole": "whole", "parts": "parts", "tiny": "tiny/parts"}
    return [
        {
            kind: (torch.load(out / f"{name}-{rank}.pt"), json.loads((out / f"{name}-{rank}.json").read_text()))
            for kind, name in kinds.items()
        }
        for rank in range(size)
    ]


def test_two_processes_hold_the_same_and_never_the_whole(tmp_path):
    """Pages of files that a process has read count as its memory too, once it has touched them."""
    folder = save(tmp_path / "m", "llama", hidden_size=1024, intermediate_size=3072, tie_word_embeddings=True)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    for held in opened(folder, tmp_path):
        (whole, _), (parts, told) = held["whole"], held["parts"]
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[name], parts[name]) for name in whole)
        assert told["tied"] is True
        before = held["tiny"][1]["peak"]
        took = {kind: (held[kind][1]["peak"] - before) / size for kind in ("whole", "parts")}
        print(f"of {size / 2**20:.0f} MiB: whole {took['whole']:.2f}, parts {took['parts']:.2f}")
        # half of the weights and half of the files' pages, a tensor on its way, and the small model; against all of
        # the weights and of the pages
        assert took["parts"] < min(1.5, took["whole"] - 0.4)


def test_matrices_that_are_divided_too_are_read_by_rows_and_columns(tmp_path):
    for held in opened(save(tmp_path / "m", "qwen2"), tmp_path, size=4, parts=2):
        (whole, _), (parts, _) = held["whole"], held["parts"]
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_what_the_files_do_not_have_is_told(tmp_path, artifact):
    folder = save(tmp_path / "m", "llama", hidden_size=16)
    weights = load_file(folder / "model.safetensors")
    kept = weights.pop("lm_head.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(Unsuited, match="no lm_head.weight"):
        open_empty(folder, torch.float32, "cpu")
    told = []
    runtime = Runtime(out=tmp_path, state=tmp_path, on_log=told.append)
    model = open_model(artifact(folder, "checkpoint"), Optimisation(weights_dtype="bfloat16", context_len=8), runtime)
    assert model.dtype == torch.bfloat16
    assert "loads the whole model" in told[0]
    weights["lm_head.weight"] = kept.fill_(float("nan"))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    from sampan.train.distributed import World

    model = open_empty(folder, torch.float32, "cpu")
    materialise(model, model, "cpu")
    with pytest.raises(StageError, match="not all numbers"):
        fill(model, folder, World(), None)
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="does not load"):
        open_model(artifact(folder, "checkpoint"), Optimisation(weights_dtype="bfloat16", context_len=8), runtime)
