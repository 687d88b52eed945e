"""What several processes do in test_train_distributed: runs named in a JSON file, by groups of processes.

The processes are forked from one that has imported torch, which costs more than the runs do.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch  # noqa: F401
from forked import forked
from transformers.models.auto import modeling_auto, tokenization_auto  # noqa: F401
from transformers.models.llama import modeling_llama  # noqa: F401

from sampan.core.params import parse_params
from sampan.core.spread import Spread
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.recipe.stages import STAGES


class Stop(Exception):
    """Ends a run where the test wants it broken off."""


def do(run: dict, rank: int) -> None:
    stage = STAGES.load(run["stage"])
    inputs = {
        role: [Artifact(path=Path(path), kind="checkpoint" if role == "model" else role, digest="", name=role)]
        for role, path in run["inputs"].items()
    }
    out = Path(run["out"]) if rank == 0 else Path(f"{run['out']}-{rank}")
    for folder in (out, Path(run["state"])):
        folder.mkdir(parents=True, exist_ok=True)

    told = []

    def progress(done: int, total: int | None, unit: str) -> None:
        told.append(done)
        if unit == "tokens" and done == run.get("stop"):
            raise Stop
        if rank == 1 and done == run.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)

    runtime = Runtime(
        out=out,
        state=Path(run["state"]),
        spread=Spread(**run["spread"]),
        on_progress=progress,
        checkpoint_seconds=run.get("checkpoint_seconds", 1e9),
    )
    try:
        stage.run(parse_params(stage.params, run["params"], where="test"), Inputs(inputs), runtime)
    except Stop:
        assert "stop" in run
    if rank == 0:
        Path(f"{run['out']}.first").write_text(str(told[0]))


def group(size: int, runs: list[dict]) -> bool:
    """Whether all of `size` processes did all runs; or, where one is to die, whether the others ended too."""

    def work(rank: int) -> None:
        for run in runs:
            do(run, rank)

    codes = forked(size, work)
    if any("die" in run for run in runs):
        return codes[1] == signal.SIGKILL and all(codes)
    return not any(codes)


if __name__ == "__main__":
    done = [group(size, runs) for size, runs in json.loads(Path(sys.argv[1]).read_text())]
    sys.exit(not all(done))
