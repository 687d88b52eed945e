"""The optimiser's moments beside a checkpoint, so that another stage goes on as if there had been no end between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..core.errors import StageError
from .averaging import AVERAGE
from .distributed import World, like, rows
from .masters import LOW, local
from .resume import save_tensors

FILE = Path("optimiser") / "moments.safetensors"


def write_moments(model: Any, optimiser: torch.optim.Optimizer, out: Path, world: World) -> None:
    """Write what AdamW knows of each trained parameter, whole, from the first process."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            if key == AVERAGE:
                continue
            whole = value.full_tensor() if hasattr(value, "full_tensor") else value
            if world.rank == 0:
                tensors[f"{key}/{name}"] = whole.detach().cpu().contiguous()
    if world.rank == 0:
        (out / FILE).parent.mkdir(exist_ok=True)
        save_tensors(out / FILE, tensors)
    world.wait()


def read_moments(model: Any, optimiser: torch.optim.Optimizer, source: Path, world: World) -> None:
    """Give each trained parameter the moments that lie beside the checkpoint it came from; StageError if they do not
    fit."""
    from safetensors import safe_open

    if not (source / FILE).is_file():
        raise StageError(
            "the model has no moments beside it", where="with_moments", how="Train it with `keep_moments: true`."
        )
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    begin = getattr(optimiser, "begin", None)
    with safe_open(source / FILE, "pt") as file:
        keys = list(file.keys())
        if missing := sorted(parameters.keys() - {key.partition("/")[2] for key in keys}):
            raise StageError(f"there are no moments of {missing[0]}", where="with_moments", how="Train the same ones.")
        for key in keys:
            kind, _, name = key.partition("/")
            if name not in parameters:
                continue
            value, parameter = file.get_tensor(key), parameters[name]
            if kind == LOW and not (begin and LOW in begin(parameter)):  # weights are held in another way now
                continue
            if value.dim():
                if value.shape != parameter.shape:
                    raise StageError(f"the moments of {name} have another shape", where="with_moments")
                first, end = rows(parameter, world)
                held = local(parameter)
                value = like(value[first:end].to(held.device), parameter)
            optimiser.state[parameter][kind] = value
