"""The stage train.causal_lm on the data of train_vs_peers.py, timed as the peers are.

PYTHON benchmarks/peers/train_ours.py {rows,documents,answers} FOLDER RESULT
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from pathlib import Path

from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.train.causal_lm import STAGE


def main(mode: str, folder: Path, result: Path) -> None:
    given = json.loads((folder / "settings.json").read_text())
    ends: list[float] = []
    for name in ("out", "state"):
        shutil.rmtree(folder / f"ours-{name}", ignore_errors=True)
        (folder / f"ours-{name}").mkdir()
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
            "tokens": [Artifact(path=folder / f"tokens-{mode}", kind="tokens", digest="", name="tokens")],
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
    tokens = [given["tokens_per_step"]] * len(ends)
    result.write_text(json.dumps({"ends": ends, "tokens": tokens, "losses": losses, "peak_bytes": peak}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve())
