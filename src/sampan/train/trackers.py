"""Where the rows of the log go while training: always to a file, on request to TensorBoard, W&B or MLflow.

`SAMPAN_TRACKERS` names them, as `tensorboard:FOLDER`, `wandb:PROJECT` or `mlflow:EXPERIMENT`, with commas between.
They change no result, so they are no parameter of a stage.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..core.errors import StageError
from ..core.stage import Runtime
from .distributed import World

VARIABLE = "SAMPAN_TRACKERS"
FILE = "train_log.live.jsonl"
"""In the state folder: rows as they come, each with tokens per second and the like."""

Send = Callable[[int, Mapping[str, float]], None]
"""Send the numbers of one step."""
Close = Callable[[bool], Any]
"""End the tracking; whether the run came to its end."""


class Trackers:
    """Called with all rows of the run, sends those that are new. `rows` are those of the run that is gone on with."""

    def __init__(
        self,
        runtime: Runtime,
        sends: Sequence[tuple[Send, Close]],
        rows: Sequence[Mapping[str, Any]],
        *,
        rank: int,
    ) -> None:
        self._file, self._sends, self._rank = runtime.state / FILE, sends, rank
        self._restart(rows)

    def __call__(self, rows: Sequence[Mapping[str, Any]], now: Mapping[str, float]) -> None:
        if self._sent > len(rows) or (self._sent and rows[self._sent - 1] is not self._last):
            self._restart(rows[:-1])  # steps were undone; the last row says so
        for row in rows[self._sent :]:
            self._append({**row, **now})
            for send, _ in self._sends:
                send(row["step"], {**flat(row), **now})
        self._sent, self._last = len(rows), rows[-1] if rows else None

    def _restart(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Begin the file anew with rows that were sent before."""
        if not self._rank:
            self._file.unlink(missing_ok=True)
        for row in rows:
            self._append(row)
        self._sent, self._last = len(rows), rows[-1] if rows else None

    def close(self, well: bool) -> None:
        for _, close in self._sends:
            close(well)

    def _append(self, row: Mapping[str, Any]) -> None:
        if self._rank:
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a row, those of a mapping as `NAME/KEY`."""
    out: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            out[prefix + name] = value
    return out


@contextmanager
def open_trackers(runtime: Runtime, world: World, rows: Sequence[Mapping[str, Any]]) -> Iterator[Trackers]:
    """The trackers that the environment names, in the first process; they are told at the end whether the run broke.
    StageError if one is unknown or not installed."""
    wanted = [] if world.rank else list(_wanted(os.environ.get(VARIABLE, "")))
    trackers = Trackers(runtime, [_open(kind, where) for kind, where in wanted], rows, rank=world.rank)
    try:
        yield trackers
    except BaseException:
        trackers.close(False)
        raise
    trackers.close(True)


def _wanted(text: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, where = part.partition(":")
        yield kind, where


def _open(kind: str, where: str) -> tuple[Send, Close]:
    makers = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
    if kind not in makers:
        raise StageError(f"{VARIABLE} names '{kind}'", how=f"Trackers are {', '.join(makers)}.")
    try:
        return makers[kind](where)
    except ImportError as error:
        raise StageError(
            f"{VARIABLE} names {kind}, which is not installed ({error})", how="pip install 'sampan[trackers]'"
        ) from error


def _tensorboard(where: str) -> tuple[Send, Close]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(where or "runs")

    def send(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return send, lambda well: writer.close()


def _wandb(where: str) -> tuple[Send, Close]:
    import wandb

    run = wandb.init(project=where or "sampan")
    return lambda step, values: run.log(dict(values), step=step), lambda well: run.finish(exit_code=int(not well))


def _mlflow(where: str) -> tuple[Send, Close]:
    import mlflow

    mlflow.set_experiment(where or "sampan")
    mlflow.start_run()

    def send(step: int, values: Mapping[str, float]) -> None:
        mlflow.log_metrics(dict(values), step=step)

    return send, lambda well: mlflow.end_run("FINISHED" if well else "FAILED")
