"""Runs of training stages in groups of processes (rank_script.py), as the tests of several processes describe them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).with_name("rank_script.py")


def a_run(folder: Path, name: str, inputs: Mapping[str, Path], params: dict, spread: dict, **more: Any) -> dict:
    """One run of `train.causal_lm`, or of `stage`, into folder/name. Runs with one `state` go on from each other, and
    `stop` and `die` end a run early (see rank_script)."""
    return {
        "stage": "train.causal_lm",
        "inputs": {role: str(path) for role, path in inputs.items()},
        "params": params,
        "spread": spread,
        "out": str(folder / name),
        **more,
        "state": str(folder / f"{more.get('state') or name}-state"),
    }


def run_groups(folder: Path, groups: Sequence[tuple[int, list[dict]]]) -> None:
    """Every group's runs, one after the other, in as many processes as it says."""
    plan = folder / "runs.json"
    plan.write_text(json.dumps(groups))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(plan)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def save_pairs(folder: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """Preferences of a prompt and a worse answer each; the better answer is always the same."""
    from sampan.artifacts.conversations import Preference, write_preferences

    write_preferences(
        folder,
        [
            Preference(id=str(n), prompt=[{"role": "user", "content": prompt}], chosen="in", rejected=worse)
            for n, (prompt, worse) in enumerate(rows)
        ],
    )
    return folder


def make_family(family: str, tiny: Path, folder: Path) -> Path:
    """A random model with what the family has of its own: biases, norms of queries, tied embeddings, caps, a window."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    sizes |= {"sliding_window": 9} if family == "gemma2" else {}
    config = AutoConfig.for_model(family, **sizes, head_dim=8, intermediate_size=64, vocab_size=384, pad_token_id=0)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / family)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tiny / name, folder / family / name)
    return folder / family


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]


def check_equal(one: Path, other: Path, weights_of) -> None:
    for row, again in zip(log(one), log(other), strict=True):
        assert row.keys() == again.keys()
        assert row.get("samples") == again.get("samples")
        for name, close in {"loss": 1e-5, "grad_norm": 1e-4, "z_loss": 1e-4, "held_out": 1e-5}.items():
            if name in row:
                # a norm is the root of a sum of squares in another order, of gradients that differ by rounding
                assert again[name] == pytest.approx(row[name], rel=close)
    before, after = weights_of(one), weights_of(other)
    assert before.keys() == after.keys()
    for key, tensor in before.items():
        torch.testing.assert_close(after[key], tensor, rtol=1e-5, atol=1e-5)
