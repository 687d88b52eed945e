"""Our side of preference_vs_trl.py: `python sampan_preference.py FOLDER dpo|simpo WARM PAIRS`.

Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sampan.core.stage import Artifact, Runtime
from sampan.train.batches import ListBatches
from sampan.train.loop import fit, open_model
from sampan.train.objectives import OBJECTIVES
from sampan.train.packing import IGNORE, LEAST_SHARED, Piece, share_prompt
from sampan.train.pair_loss import PairLoss, reference_logprobs
from sampan.train.preference import Params
from sampan.train.task import Task

EOS = 2


def piece(prompt: list[int], answer: list[int]) -> Piece:
    ids = np.asarray([*prompt, *answer, EOS])
    labels = np.append(ids[1:], IGNORE)
    labels[: len(prompt) - 1] = IGNORE
    return Piece(ids, labels)


class InOrder(ListBatches):
    """Steps of the given examples in the given order, as TRL's side takes them."""

    def at(self, step: int) -> list[Piece]:
        numbers = range(step * self.budget, (step + 1) * self.budget)
        return [replace(found, group=number) for number in numbers for found in self.examples[number]]


def main(folder: Path, objective: str, warm: int, count: int) -> None:
    begun = time.process_time()
    state = folder / f"state-{time.time_ns()}"
    state.mkdir()
    times: list[float] = []
    runtime = Runtime(out=state, state=state, checkpoint_seconds=1e9)
    params = Params(
        objective=objective,
        lr=1e-5,
        schedule="constant",
        warmup_share=0,
        weight_decay=0,
        beta2=0.999,
        eps=1e-8,
        context_len=1024,
        beta=0.1 if objective == "dpo" else 2.0,
        gamma=0.5 if objective == "dpo" else 1.0,
    )
    model = open_model(Artifact(path=folder, kind="checkpoint", digest="", name="model"), params, runtime)
    pairs = []
    for row in json.loads((folder / "pairs.json").read_text()):
        chosen, rejected = (piece(row["prompt"], row[name]) for name in ("chosen", "rejected"))
        pairs.append((chosen, share_prompt(chosen, rejected, least=LEAST_SHARED)))
    batches = InOrder(pairs, [1] * len(pairs), budget=count, epochs=1, seed=0, names=[""], unit="pairs")
    batches.examples, batches.budget = pairs, count
    start, ready = time.process_time(), time.time()
    reference, settings = None, {"beta": params.beta}
    if objective == "dpo":
        reference = reference_logprobs(
            model, pairs, micro_batch_tokens=params.micro_batch_tokens, dtype=torch.float32, runtime=runtime
        )
    else:
        settings["gamma"] = params.gamma
    before = time.process_time() - start
    loss = PairLoss(OBJECTIVES.load(objective), settings, reference)
    runtime.on_progress = lambda *_: times.append(time.process_time())
    progress, _, _ = fit(model, Task(batches, loss, uniform=False), params, runtime)
    timed = len(times) - warm
    told = {
        "cpu_seconds": times[-1] - times[warm - 1] + before * timed / len(times),
        "tokens": sum(len(found.ids) for pair in pairs[warm * count :] for found in pair),
        "losses": [row["loss"] for row in progress.rows],
        "start_cpu": round(start - begun, 2),
        "ready": ready,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
