"""What several processes do in test_train_opening: open a model in parts, then whole, and tell what each came to hold.

Arguments: folders of a tiny model, opened first, and of the model; the number of processes, how many of them divide
matrices, and where to write. The processes are forked from one that has imported torch.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import torch
from forked import forked
from transformers.models.auto import modeling_auto  # noqa: F401
from transformers.models.llama import modeling_llama  # noqa: F401

from sampan.core.spread import Spread
from sampan.core.stage import Artifact, Runtime
from sampan.train.distributed import Scorer, join, shard
from sampan.train.loop import open_model
from sampan.train.masters import local
from sampan.train.opening import fill, is_empty, materialise
from sampan.train.settings import Optimisation
from sampan.train.tensor_parallel import divide


def open_part(folder: Path, how: str, out: Path, spread: Spread) -> None:
    out.mkdir(exist_ok=True)
    runtime = Runtime(out=out, state=out, spread=spread)
    world = join(runtime)
    source = Artifact(path=folder, kind="checkpoint", digest="", name="model")
    model = open_model(source, Optimisation(context_len=32), runtime, whole=how == "whole")
    assert is_empty(model) == (how == "parts")
    divide(model, world)
    scorer = Scorer(model, torch.float32, uniform=True, world=world)
    shard(scorer, world, torch.float32)
    if how == "parts":
        materialise(scorer, model, world.device)
        fill(model, folder, world, None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    head, inner = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    held = {name: local(parameter.detach()).clone() for name, parameter in model.named_parameters()}
    held |= {f"buffer/{name}": buffer for name, buffer in model.named_buffers()}
    torch.save(held, out / f"{how}-{world.rank}.pt")
    (out / f"{how}-{world.rank}.json").write_text(json.dumps({"peak": peak, "tied": head is inner}))


def main(tiny: Path, folder: Path, size: int, parts: int, out: Path) -> int:
    def work(rank: int) -> None:
        for name, path, how in (
            ("", tiny, "whole"),
            ("tiny", tiny, "parts"),
            ("", folder, "parts"),
            ("", folder, "whole"),
        ):
            open_part(path, how, out / name, Spread(processes=size, tensor_parallel=parts))

    return sum(code != 0 for code in forked(size, work))


if __name__ == "__main__":
    tiny, folder, size, parts, out = sys.argv[1:]
    sys.exit(main(Path(tiny), Path(folder), int(size), int(parts), Path(out)))
