"""Where a run stands: one safetensors file, written aside and renamed, so that a kill finds the old or the new one."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

_FILE = "train.safetensors"


@dataclass
class Progress:
    """What has been done; all of it decided by params and inputs, none of it by the clock."""

    step: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    by_stream: dict[str, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Rows of train_log.jsonl."""
    window: dict[str, float] = field(default_factory=dict)
    """Sums since the last row."""


def save(folder: Path, model: Any, optimiser: torch.optim.Optimizer, progress: Progress) -> None:
    """Keep trainable weights, moments and progress."""
    from safetensors.torch import save_file

    tensors = {}
    for name, parameter in _trainable(model):
        tensors[f"weight/{name}"] = parameter.detach()
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = value
    part = folder / f"{_FILE}.part"
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(tensors, part, metadata={"progress": json.dumps(vars(progress))})
    _publish(part, folder / _FILE)


def load(folder: Path, model: Any, optimiser: torch.optim.Optimizer) -> Progress:
    """Put back what `save` kept; a fresh Progress if there is nothing."""
    if not (folder / _FILE).is_file():
        return Progress()
    from safetensors import safe_open

    with safe_open(folder / _FILE, "pt") as file:
        progress = Progress(**json.loads(file.metadata()["progress"]))
        keys = set(file.keys())
        for name, parameter in _trainable(model):
            with torch.no_grad():
                parameter.copy_(file.get_tensor(f"weight/{name}"))
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if f"{key}/{name}" in keys:
                    optimiser.state[parameter][key] = file.get_tensor(f"{key}/{name}").to(parameter.device)
    return progress


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, str] | None = None) -> None:
    """Write a safetensors file atomically."""
    from safetensors.torch import save_file

    part = path.with_name(f"{path.name}.part")
    save_file(tensors, part, metadata=about)
    _publish(part, path)


def _publish(part: Path, path: Path) -> None:
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(part, path)


def _trainable(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
