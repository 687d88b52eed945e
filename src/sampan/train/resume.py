"""Where a run stands, so that a kill costs at most what was done since the last checkpoint.

A checkpoint is a folder `step-N` with one safetensors file for each process, holding the rows of weights and moments
that the process has. Each file is written aside, synced and renamed; a folder counts once all its files are there, and
older ones go only then, so that a kill at any moment leaves a whole checkpoint. They carry their places: any number of
processes, and any division of matrices among them, can go on from what another has kept. What has been done, with all
rows of the log, lies in the first file as a tensor of bytes, since a header may not have more than 100 MB.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..core.errors import StageError
from .distributed import World, like, place
from .masters import local

_ALONE = World()
_PROGRESS = "progress"


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
    stream_window: dict[str, list[float]] = field(default_factory=dict)
    """By stream, loss and units (trained tokens, pairs, answers) since the last row."""
    stream_loss: dict[str, float] = field(default_factory=dict)
    """By stream, the loss when a row was last written that had tokens of it."""
    recent: dict[str, list[float]] = field(default_factory=dict)
    """What the guard compares with."""
    skips: list[dict[str, Any]] = field(default_factory=list)
    """Steps that were left out: from `first` to before `end`."""
    skipped_tokens: int = 0
    averaged: int = 0
    """Points that the average of weights has."""


class Keeper:
    """Keeps checkpoints of one run in `folder`; where weights are on a GPU, they are written while training goes on."""

    def __init__(self, folder: Path, world: World = _ALONE, *, background: bool | None = None) -> None:
        self._folder, self._world = folder, world
        self._background = world.device != "cpu" if background is None else background
        self._writer: threading.Thread | None = None
        self._failure: BaseException | None = None

    def save(self, model: Any, optimiser: torch.optim.Optimizer, progress: Progress) -> None:
        """Keep trainable weights, moments and progress. An error of a write in the background is raised by the next
        call or by `finish`."""
        self.finish()
        tensors, places = {}, {}
        for name, parameter in _trainable(model):
            places[name] = place(parameter, self._world)
            tensors[f"weight/{name}"] = parameter.detach()
            for key, value in optimiser.state.get(parameter, {}).items():
                tensors[f"{key}/{name}"] = value
        tensors = {name: self._copy(local(tensor)) for name, tensor in tensors.items()}
        if self._world.rank == 0:
            tensors[_PROGRESS] = torch.frombuffer(bytearray(json.dumps(vars(progress)).encode()), dtype=torch.uint8)
        about = {"rows": json.dumps(places)}
        if not self._background:
            self._write(tensors, about, progress.step)
            return
        self._writer = threading.Thread(target=self._attempt, args=(tensors, about, progress.step), daemon=True)
        self._writer.start()

    def finish(self) -> None:
        """Wait for the write that is under way."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _copy(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor that training will not change while it is written."""
        tensor = tensor.to("cpu", copy=True) if self._background else tensor
        return tensor.contiguous()

    def _attempt(self, tensors: dict[str, torch.Tensor], about: dict[str, str], step: int) -> None:
        try:
            self._write(tensors, about, step)
        except BaseException as error:
            self._failure = error

    def _write(self, tensors: dict[str, torch.Tensor], about: dict[str, str], step: int) -> None:
        folder = self._folder / f"step-{step:09d}"
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(folder / _name(self._world.rank, self._world.size), tensors, about)
        if self._world.rank == 0 and (newest := latest(self._folder)) is not None:
            for old in _folders(self._folder):
                if old < newest:
                    shutil.rmtree(old, ignore_errors=True)

    def load(self, model: Any, optimiser: torch.optim.Optimizer) -> Progress:
        """Put back what was kept last; a fresh Progress if there is nothing. All processes read the same checkpoint."""
        found = latest(self._folder)
        step = int(self._world.first(_step(found) if found else -1))
        folder = self._folder / f"step-{step:09d}"
        if self._world.rank == 0:
            for other in _folders(self._folder):
                if other != folder:
                    shutil.rmtree(other, ignore_errors=True)
        self._world.wait()
        return Progress() if step < 0 else _load(folder, model, optimiser, self._world)


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint in `folder`."""
    return next((found for found in reversed(_folders(folder)) if _files(found)), None)


def _load(folder: Path, model: Any, optimiser: torch.optim.Optimizer, world: World) -> Progress:
    files = [_open(path) for path in _files(folder)]
    places = [json.loads(file.metadata()["rows"]) for file in files]
    keys = set(files[0].keys())
    if _PROGRESS not in keys:
        raise StageError(
            "a checkpoint of this run was kept by another version of Sampan",
            where=str(folder),
            how="Finish the run with that version, or delete the folder and run again: training begins anew.",
        )
    parameters = dict(_trainable(model))
    for key in sorted(keys - {_PROGRESS}):
        kind, _, name = key.partition("/")
        parameter = parameters[name]
        if parameter.dim() and files[0].get_slice(key).get_shape():
            value = _read_part(files, key, [held[name] for held in places], place(parameter, world))
        else:  # the same in all processes, such as a count of steps
            value = files[0].get_tensor(key)
        value = value.to(parameter.device)
        if kind == "weight":
            local(parameter.detach()).copy_(value)
        else:
            optimiser.state[parameter][kind] = like(value, parameter) if value.dim() else value
    return Progress(**json.loads(files[0].get_tensor(_PROGRESS).numpy().tobytes()))


def _open(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, "pt")
    except SafetensorError as error:
        raise StageError(
            f"a checkpoint of this run is damaged ({error})",
            where=str(path),
            how="Delete its folder and run again: training begins anew. A kill does not do this; look at the disk.",
        ) from error


def _read_part(files: list[Any], key: str, held: list[list[int]], wanted: list[int]) -> torch.Tensor:
    """The place `wanted` (see distributed.place) of a tensor of which file n has the place `held[n]`."""
    first, end, *sides = wanted
    shape = files[0].get_slice(key).get_shape()
    columns = max(place[3] for place in held) if len(held[0]) > 2 else (shape[1] if len(shape) > 1 else 0)
    left, right = sides or (0, columns)
    rest = [right - left, *shape[2:]] if len(shape) > 1 else []
    out = torch.empty([end - first, *rest], dtype=files[0].get_slice(key)[:0].dtype)
    for file, (low, high, *across) in zip(files, held, strict=True):
        top, bottom = max(low, first), min(high, end)
        near, far = across or (0, columns)
        one, other = max(near, left), min(far, right)
        if top >= bottom or (rest and one >= other):
            continue
        found = file.get_slice(key)[top - low : bottom - low]
        if rest:
            out[top - first : bottom - first, one - left : other - left] = found[:, one - near : other - near]
        else:
            out[top - first : bottom - first] = found
    return out


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, str] | None = None) -> None:
    """Write a safetensors file aside, sync it and rename it into place."""
    from safetensors.torch import save_file

    part = path.with_name(f"{path.name}.part")
    try:
        save_file(tensors, part, metadata=about)
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)  # a full disk is not made fuller
        raise


def _name(rank: int, size: int) -> str:
    return f"{rank:05d}-of-{size:05d}.safetensors"


def _folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _files(folder: Path) -> list[Path]:
    """The files of a checkpoint, in the order of the processes; none unless all are there."""
    sizes = {path.name.split("-of-")[1] for path in folder.glob("*-of-*.safetensors")}
    for size in sorted(sizes):
        count = int(size.removesuffix(".safetensors"))
        files = [folder / _name(rank, count) for rank in range(count)]
        if all(path.is_file() for path in files):
            return files
    return []


def _trainable(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
