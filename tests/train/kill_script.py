"""Runs that end at a moment a test chooses, for test_train_faults: one JSON request a line, one answer a line.

Every run is a process of its own, forked from this one, which has imported torch; it kills itself with SIGKILL, as the
system does for lack of memory. The clock of checkpoints counts steps, so that "every N seconds" means every N steps.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace

import safetensors.torch
import torch  # noqa: F401
from transformers.models.auto import modeling_auto, tokenization_auto  # noqa: F401
from transformers.models.llama import modeling_llama  # noqa: F401

from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.train import loop, resume
from sampan.train.causal_lm import STAGE


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str, number: int) -> None:
    """Die at the `number`th (from 1) time that a checkpoint comes to `moment`."""
    seen = [0]

    def now() -> bool:
        seen[0] += 1
        return seen[0] == number

    write, replace, remove = safetensors.torch.save_file, os.replace, resume.shutil.rmtree

    def save_file(tensors, path, metadata=None):
        write(tensors, path, metadata=metadata)
        if moment == "half written" and now():
            os.truncate(path, os.path.getsize(path) // 2)
            die()
        if moment == "written" and now():
            die()

    def renamed(source, target):
        replace(source, target)
        if moment == "renamed" and now():
            die()

    def rmtree(folder, **options):
        if moment == "removing the one before" and now():
            next(Path(folder).iterdir()).unlink()
            die()
        remove(folder, **options)

    safetensors.torch.save_file = save_file
    resume.os = SimpleNamespace(**{**vars(os), "replace": renamed})
    resume.shutil = SimpleNamespace(rmtree=rmtree)


def train(request: dict) -> None:
    made = []

    def progress(done: int, total: int | None, unit: str) -> None:
        made.append(done)
        Path(request["seen"]).write_text(json.dumps(made))
        clock[0] += 1
        if request.get("moment") == "step" and len(made) == request["number"]:
            die()

    clock = [0.0]
    loop.time = SimpleNamespace(monotonic=lambda: clock[0])
    if "moment" in request:
        arm(request["moment"], request["number"])
    paths = {role: Artifact(path=Path(request[role]), kind=role, digest="", name=role) for role in ("model", "tokens")}
    runtime = Runtime(
        out=Path(request["out"]),
        state=Path(request["state"]),
        on_progress=progress,
        checkpoint_seconds=request["interval"],
    )
    for folder in (runtime.out, runtime.state):
        folder.mkdir(parents=True, exist_ok=True)
    inputs = Inputs({role: [each] for role, each in paths.items()})
    STAGE.run(STAGE.params(**request["params"]), inputs, runtime)


def fork(request: dict) -> int:
    """The exit status of a process that does the run; minus the signal that ended it."""
    child = os.fork()
    if not child:
        try:
            train(request)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        print(fork(json.loads(line)), flush=True)
