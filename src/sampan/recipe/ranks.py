"""A stage in several processes that work together: started, listened to, started again, and ended together.

The stage's own process writes a job file; every rank reads it and calls the stage's `run` (see `rank`), the first of
them in the artifact's folder. They are started here, or by the launcher's command on other machines too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import resource
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.errors import RecipeError, SampanError, StageError
from ..core.params import all_values
from ..core.stage import Inputs, Runtime, Stage
from .processes import died

MARK = "\x1e"
"""Begins a line of JSON that a rank sends: [what, …]."""
LIFELINE = "SAMPAN_LIFELINE"
"""Set where a rank must end when its standard input closes."""
_LAUNCHER_SECONDS = 30.0
_GRACE_SECONDS = 5.0
"""How long to wait for the one that died first to say so: the others see only that a connection broke."""


def joined() -> int:
    """Processes of the group that this process was started in by torchrun or the like; 1 if there is none."""
    size = os.environ.get("WORLD_SIZE", "1")
    return int(size) if size.isdigit() and "RANK" in os.environ else 1


def follows() -> bool:
    """Whether another process of such a group writes the result."""
    return joined() > 1 and os.environ["RANK"] != "0"


def run_stage(stage: Stage, params: Any, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Call the stage, in as many processes as `runtime.spread` says if it is one that can; returns its metrics."""
    spread = runtime.spread
    if spread.processes > 1 and not stage.spreads:
        runtime.spread = dataclasses.replace(spread, processes=1, tensor_parallel=1, context_parallel=1)
    if runtime.spread.processes == 1 or joined() > 1:
        return dict(stage.run(params, inputs, runtime) or {})
    job = _write_job(stage, params, inputs, runtime)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for attempt in range(spread.restarts + 1):
        try:
            metrics = _Ranks(job, runtime).metrics()
            break
        except _RankLostError as lost:
            if attempt == spread.restarts:
                raise lost.error from None
            runtime.log(f"{lost.error.what}; starting again from the last checkpoint ({attempt + 1}/{spread.restarts})")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    runtime.elsewhere_seconds += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return metrics


def refuse_joined() -> None:
    """RecipeError inside torchrun, for a command that starts its processes itself."""
    if joined() > 1:
        raise RecipeError(
            f"this command was started {joined()} times, by a launcher",
            where="WORLD_SIZE",
            how="Start it once with --processes and --launcher, or start `sampan do` so.",
        )


def _write_job(stage: Stage, params: Any, inputs: Inputs, runtime: Runtime) -> Path:
    job = {
        "stage": stage.name,
        "params": all_values(params),
        "inputs": {
            role: [{**vars(item), "path": str(item.path), "manifest": dict(item.manifest)} for item in items]
            for role, items in inputs.items()
        },
        "out": str(runtime.out),
        "state": str(runtime.state),
        "threads": runtime.threads,
        "device": runtime.device,
        "checkpoint_seconds": runtime.checkpoint_seconds,
        "spread": dataclasses.asdict(runtime.spread),
    }
    path = runtime.state / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


class _RankLostError(Exception):
    """A process ended for a reason outside the stage; another attempt may succeed."""

    def __init__(self, error: StageError) -> None:
        super().__init__(str(error))
        self.error = error


class _Ranks:
    """The processes of one attempt."""

    def __init__(self, job: Path, runtime: Runtime) -> None:
        self._job, self._runtime, self._events = job, runtime, queue.Queue()
        self._processes: list[subprocess.Popen] = []
        self._names: list[str] = []

    def metrics(self) -> dict[str, Any]:
        """Start all, pass on what they say, and return the first one's metrics once all have ended well."""
        with contextlib.ExitStack() as files:
            try:
                for name, command, environment in self._commands():
                    self._start(name, command, environment, files)
                return self._listen()
            finally:
                for process in self._processes:
                    self._end(process)

    def _end(self, process: subprocess.Popen) -> None:
        """End a process; a launcher is given the time to end what it has started on other machines."""
        if self._runtime.spread.launcher and process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LAUNCHER_SECONDS)
        process.kill()
        process.wait()

    def _commands(self) -> Iterator[tuple[str, list[str], dict[str, str]]]:
        """(name, command, environment) of every process to start here."""
        spread, threads = self._runtime.spread, str(self._runtime.threads)
        rank = [sys.executable, "-m", "sampan.recipe.rank", str(self._job)]
        shared = {**os.environ, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"}
        if spread.launcher == "ray":
            yield "launcher", [sys.executable, "-m", "sampan.recipe.ray_ranks", str(self._job)], shared
            return
        if spread.launcher:
            yield "launcher", [*shlex.split(spread.launcher), *rank[1:]], shared
            return
        shared |= {"WORLD_SIZE": str(spread.processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        if sys.platform == "linux":
            shared.setdefault("GLOO_SOCKET_IFNAME", "lo")
        for number in range(spread.processes):
            yield f"rank {number}", rank, {**shared, "RANK": str(number), "LOCAL_RANK": str(number), LIFELINE: "1"}

    def _start(self, name: str, command: list[str], environment: dict[str, str], files: contextlib.ExitStack) -> None:
        log = files.enter_context(open(self._log_of(name), "wb"))
        try:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        except OSError as error:
            raise RecipeError(f"cannot start {command[0]} ({error.strerror})", where="--launcher") from error
        files.callback(process.stdout.close)
        files.callback(process.stdin.close)
        self._processes.append(process)
        self._names.append(name)
        threading.Thread(target=self._read, args=(len(self._processes) - 1,), daemon=True).start()

    def _read(self, number: int) -> None:
        process = self._processes[number]
        with contextlib.suppress(ValueError):  # closed because all are being ended
            for line in process.stdout:
                text = line.decode("utf-8", "replace")
                if text.startswith(MARK):
                    self._events.put((number, *json.loads(text[1:])))
        self._events.put((number, "ended", process.wait()))

    def _listen(self) -> dict[str, Any]:
        metrics, running = None, set(range(len(self._processes)))
        while running:
            number, what, *detail = self._events.get()
            if what == "progress":
                self._runtime.progress(*detail)
            elif what == "log":
                self._runtime.log(*detail)
            elif what == "done":
                metrics = detail[0]
            elif what == "refused":
                raise StageError(detail[0], where=detail[1], how=detail[2])
            elif what == "broken" or detail[0] != 0:
                self._lost(number, what, detail)
            else:
                running.discard(number)
        if metrics is None:
            raise _RankLostError(StageError("its processes ended without a result", how=self._see(self._names[0])))
        return metrics

    def _lost(self, number: int, what: str, detail: list[Any]) -> None:
        """Raise what ended the run: the process that was killed, before those that only missed it."""
        seen, until = [(number, what, detail)], time.monotonic() + _GRACE_SECONDS
        while not any(what == "ended" and detail[0] < 0 for _, what, detail in seen) and time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                number, what, *detail = self._events.get(timeout=0.1)
                if what == "refused":
                    raise StageError(detail[0], where=detail[1], how=detail[2])
                if what in ("broken", "ended"):
                    seen.append((number, what, detail))
            if sum(what == "ended" for _, what, _ in seen) == len(self._processes):
                break
        number, what, detail = min(seen, key=lambda event: 0 if event[1] == "ended" and event[2][0] < 0 else 1)
        name = self._names[number]
        if what == "broken":
            raise _RankLostError(StageError(f"{name}: {detail[0]}", how=self._see(name)))
        error: SampanError = died(detail[0])
        raise _RankLostError(StageError(f"{name}: {error.what}", how=f"{error.how} {self._see(name)}".strip()))

    def _log_of(self, name: str) -> Path:
        return self._runtime.state / f"{name.replace(' ', '-')}.log"

    def _see(self, name: str) -> str:
        return f"What it printed is in {self._log_of(name)}"


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
