"""A stage in several processes, as the command line starts it: bytes, deaths, restarts, and a launcher from outside."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sampan.core.errors import RecipeError, StageError
from sampan.core.spread import Spread
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.recipe import ranks
from sampan.train.causal_lm import STAGE
from sampan.train.resume import latest

PARAMS = {"context_len": 32, "micro_batch_tokens": 256, "global_batch_tokens": 256, "lr": 1e-3, "num_tokens": 256 * 40}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    """A tiny model and tokens for it."""
    from sampan.artifacts.tokens import TokenWriter
    from sampan.model.init import STAGE as INIT
    from sampan.model.sentencepiece_bpe import build_tokenizer
    from sampan.model.tokenizer import tokenizer_digest

    base = tmp_path_factory.mktemp("ranks")
    for name in ("tokenizer", "model", "tokens", "state"):
        (base / name).mkdir()
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((chr(c), -float(c)) for c in range(33, 127))]
    tokenizer = build_tokenizer(pieces, unk="<unk>", specials=["<unk>", "<s>", "</s>"], mergeable=[False] * len(pieces))
    tokenizer.save(str(base / "tokenizer" / "tokenizer.json"))
    (base / "tokenizer" / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}'
    )
    source = Artifact(path=base / "tokenizer", kind="tokenizer", digest="", name="tokenizer")
    shape = INIT.params(hidden_size=32, num_layers=2, num_heads=4, num_kv_heads=2, context_len=64)
    INIT.run(shape, Inputs({"tokenizer": [source]}), Runtime(out=base / "model", state=base / "state"))
    writer = TokenWriter(base / "tokens", vocab_size=96, tokenizer_digest=tokenizer_digest(base / "model"))
    rng = np.random.default_rng(0)
    for _ in range(60):
        writer.write([1, *rng.integers(3, 60, rng.integers(4, 40)).tolist()], stream="tha_Thai")
    writer.close()
    kinds = {"model": "checkpoint", "tokens": "tokens"}
    return Inputs({role: [Artifact(path=base / role, kind=kind, digest="", name=role)] for role, kind in kinds.items()})


def run(inputs: Inputs, folder: Path, **values) -> tuple[bytes, dict, list[str]]:
    """(weights, metrics, log) of a run in `folder`."""
    out, state, said = folder / "out", folder / "state", []
    for each in (out, state):
        each.mkdir(parents=True)
    spread = Spread(**{"processes": 2, **values.pop("spread", {})})
    runtime = Runtime(out=out, state=state, spread=spread, on_log=said.append, checkpoint_seconds=0)
    metrics = ranks.run_stage(STAGE, STAGE.params(**{**PARAMS, **values}), inputs, runtime)
    return (out / "model.safetensors").read_bytes(), metrics, said


def kill_one_after_some_steps(state: Path) -> threading.Thread:
    """Kill rank 1 of the run in `state`, as for lack of memory, once it has kept a checkpoint. The thread's `kept` is
    the step of the last one."""

    def watch() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if (found := latest(state)) is not None and (victim := rank_of(state, "1")):
                thread.kept = int(found.name.removeprefix("step-"))
                os.kill(victim, signal.SIGKILL)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def rank_of(state: Path, rank: str) -> int | None:
    """The process id of a rank whose job is in `state`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            mine = str(state / "job.json").encode() in command
            if mine and f"RANK={rank}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
        except OSError:
            continue
    return None


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the process in /proc")
@pytest.mark.slow
def test_a_killed_process_ends_all_and_the_run_goes_on_to_the_same_bytes(inputs, tmp_path):
    expected, metrics, _ = run(inputs, tmp_path / "whole")
    assert metrics["steps"] == 40
    killer = kill_one_after_some_steps(tmp_path / "restarted" / "state")
    found, metrics, said = run(inputs, tmp_path / "restarted", spread={"restarts": 1})
    killer.join()
    assert found == expected
    assert metrics["tokens"] == 40 * 256
    assert any("rank 1" in line and "starting again" in line for line in said)
    resumed = next(int(line.split()[3]) for line in said if line.startswith("resuming at step"))
    assert resumed >= killer.kept  # what was whole before the kill is not done again
    killer = kill_one_after_some_steps(tmp_path / "killed" / "state")
    with pytest.raises(StageError, match=r"rank 1: its process ended without a word \(exit status -9\).*memory"):
        run(inputs, tmp_path / "killed")
    killer.join()
    assert latest(tmp_path / "killed" / "state") is not None
    time.sleep(0.1)
    assert rank_of(tmp_path / "killed" / "state", "0") is None


SRUN = """#!/bin/bash
# As Slurm does with --nodes=2 --ntasks-per-node=1: the command once on every node, and no step outlives a failed task.
trap 'kill $(jobs -p); wait; exit 143' TERM
for node in 0 1; do SLURM_NODEID=$node "$@" & done
failed=0
for task in $(jobs -p); do wait $task || failed=1; done
exit $failed
"""


@pytest.mark.slow
def test_the_slurm_script_of_the_manual_starts_nodes_that_meet(inputs, tmp_path, monkeypatch):
    """Its own launcher, with two nodes of one process for four of eight: a torchrun on each, which meet as they would
    on two machines. A refusal comes through, and what cannot be started is told."""
    manual = (Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md").read_text(encoding="utf-8")
    launcher = re.search(r'--launcher "(srun torchrun .*)"', manual)[1]
    smaller = {"nnodes=4": "nnodes=2", "per-node=8": "per-node=1", "$head:29500": f"localhost:{ranks.free_port()}"}
    for old, new in smaller.items():
        assert old in launcher
        launcher = launcher.replace(old, new)
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(SRUN)
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    _, metrics, _ = run(inputs, tmp_path / "launched", num_tokens=512, spread={"launcher": launcher})
    assert metrics["steps"] == 2
    with pytest.raises(StageError, match="context_len 65 is longer"):
        run(inputs, tmp_path / "refused", context_len=65)
    with pytest.raises(RecipeError, match="cannot start no-such-launcher"):
        run(inputs, tmp_path / "none", spread={"launcher": "no-such-launcher"})


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the process in /proc")
@pytest.mark.slow
def test_a_ray_cluster_may_run_them_and_a_killed_one_is_started_again(inputs, tmp_path, ray_address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", ray_address)
    values = {"num_tokens": 256 * 12}
    expected, _, _ = run(inputs, tmp_path / "here", **values)
    killer = kill_one_after_some_steps(tmp_path / "ray" / "state")
    found, metrics, said = run(inputs, tmp_path / "ray", spread={"launcher": "ray", "restarts": 1}, **values)
    killer.join()
    assert found == expected
    assert metrics["steps"] == 12
    assert any("rank 1: its process ended" in line and "starting again" in line for line in said), said
    with pytest.raises(StageError, match="context_len 65 is longer"):
        run(inputs, tmp_path / "refused", context_len=65, spread={"launcher": "ray"})
    with pytest.raises(StageError, match=r"has 2 CPUs, and 3 processes want 3.*Lower --processes"):
        run(inputs, tmp_path / "many", spread={"launcher": "ray", "processes": 3})


def test_a_stage_that_cannot_be_divided_runs_alone(tmp_path):
    from dataclasses import replace

    seen = []
    alone = replace(STAGE, run=lambda params, inputs, runtime: seen.append(runtime.spread), spreads=False)
    runtime = Runtime(out=tmp_path, state=tmp_path, spread=Spread(processes=4, recompute=2))
    assert ranks.run_stage(alone, None, Inputs({}), runtime) == {}
    assert seen == [Spread(processes=1, recompute=2)]
