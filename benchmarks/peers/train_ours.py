"""The stage train.causal_lm on the data of train_vs_peers.py, timed as the peers are.

PYTHON benchmarks/peers/train_ours.py {rows,documents,answers,packed} FOLDER RESULT

`packed` are the documents of each step in FOLDER/steps.json, as a peer packed them.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.train import causal_lm
from sampan.train.causal_lm import STAGE


class Given:
    """Steps of documents as they were written down, in place of those that the stage would make of its tokens. All but
    the first token of a document are trained."""

    unit, names = "tokens", ("documents",)

    def __init__(self, folder: Path) -> None:
        from sampan.train.packing import IGNORE, Piece

        steps = json.loads((folder / "steps.json").read_text())
        self._pieces = [
            [Piece(np.array(ids), np.array([*ids[1:], IGNORE])) for ids in documents] for documents in steps
        ]
        self.steps, self.sizes = len(steps), [sum(map(len, documents)) for documents in steps]
        self.tokens = sum(self.sizes)

    def at(self, step: int) -> list:
        return self._pieces[step]


def main(mode: str, folder: Path, result: Path) -> None:
    given = json.loads((folder / "settings.json").read_text())
    ends: list[float] = []
    for name in ("out", "state"):
        shutil.rmtree(folder / f"ours-{name}", ignore_errors=True)
        (folder / f"ours-{name}").mkdir()
    tokens, source = [given["tokens_per_step"]] * given["steps"], mode
    if mode == "packed":
        batches = Given(folder)
        causal_lm.make_batches = lambda *args, **more: batches
        tokens, source = batches.sizes, "documents"
    params = STAGE.params(
        num_tokens=given["steps"] * given["tokens_per_step"],
        global_batch_tokens=given["tokens_per_step"],
        micro_batch_tokens=given["tokens_per_step"],
        context_len=given["length"],
        lr=given["lr"],
        schedule="linear",
        final_lr_ratio=0.0,
        warmup_steps=given["warmup_steps"],
        weight_decay=0.0,
        beta1=0.9,
        beta2=0.999,
        eps=1e-8,
    )
    inputs = Inputs(
        {
            "model": [Artifact(path=folder / "model", kind="checkpoint", digest="", name="model")],
            "tokens": [Artifact(path=folder / f"tokens-{source}", kind="tokens", digest="", name="tokens")],
        }
    )
    runtime = Runtime(
        out=folder / "ours-out",
        state=folder / "ours-state",
        checkpoint_seconds=1e9,
        on_progress=lambda done, total, unit: ends.append(time.process_time()),
    )
    STAGE.run(params, inputs, runtime)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    log = (folder / "ours-out" / "train_log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in log]
    result.write_text(json.dumps({"ends": ends, "tokens": tokens, "losses": losses, "peak_bytes": peak}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve())
