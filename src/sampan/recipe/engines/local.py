"""Shards in worker processes of this machine. A worker dies with its parent, and its death names the job it had."""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ...core.errors import RecipeError, SampanError, StageError
from ...core.shards import Job, ShardEngine, one_by_one
from ..processes import attempt, die_with, died

_POLL_SECONDS = 0.05


def local(place: Any) -> ShardEngine:
    """An engine of `place.workers` processes; a single job runs in the stage's own process. It has no settings."""
    if place.options:
        raise RecipeError(
            f"the local engine has no setting '{next(iter(place.options))}'",
            where="--engine-option",
            how="Choose another with --engine, or leave the setting out.",
        )

    def run(jobs: Sequence[Job], on_done: Callable[[Job], None]) -> None:
        if min(place.workers, len(jobs)) <= 1:
            one_by_one(jobs, on_done)
        else:
            _Pool(min(place.workers, len(jobs)), place).run(jobs, on_done)

    return run


class _Pool:
    """Worker processes, each with at most one job at a time."""

    def __init__(self, size: int, place: Any) -> None:
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        self._processes: dict[Connection, Any] = {}
        self._lifelines = []
        for _ in range(size):
            pipe, theirs = context.Pipe()
            life, lifeline = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(theirs, life, place), name="sampan shard")
            process.start()
            theirs.close()
            life.close()
            self._processes[pipe] = process
            self._lifelines.append(lifeline)

    def run(self, jobs: Sequence[Job], on_done: Callable[[Job], None]) -> None:
        waiting, busy, failure = list(reversed(jobs)), {}, None
        try:
            for pipe in self._processes:
                busy[pipe] = self._give(pipe, waiting.pop())
            while busy:
                for pipe in wait(list(busy)):
                    job = busy.pop(pipe)
                    error = self._answer(pipe, job)
                    if error is None:
                        on_done(job)
                    failure = failure or error
                    if waiting and failure is None:
                        busy[pipe] = self._give(pipe, waiting.pop())
        finally:
            self._stop()
        if failure is not None:
            raise failure

    def _give(self, pipe: Connection, job: Job) -> Job:
        with contextlib.suppress(ConnectionError):  # a worker that has died says so where its answer is read
            pipe.send(job)
        return job

    def _answer(self, pipe: Connection, job: Job) -> SampanError | None:
        try:
            return pipe.recv()
        except (EOFError, ConnectionError):
            self._processes[pipe].join()
            error = died(self._processes[pipe].exitcode)
            return StageError(f"shard {job.folder.name}: {error.what}", how=error.how)

    def _stop(self) -> None:
        for lifeline in self._lifelines:
            lifeline.close()
        for pipe, process in self._processes.items():
            process.kill()
            process.join()
            pipe.close()


def _work(pipe: Connection, life: Connection, place: Any) -> None:
    """A worker's body: takes jobs until the pipe closes, answers None or the error of each."""
    die_with(life)
    os.environ["OMP_NUM_THREADS"] = str(place.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with contextlib.suppress(EOFError):
        while True:
            job = pipe.recv()
            with _slot(place):
                pipe.send(attempt(job))


@contextlib.contextmanager
def _slot(place: Any) -> Iterator[None]:
    """One of the machine's slots, held for the block: stages side by side do not take more cores than there are."""
    if not place.slots:
        yield
        return
    folder = Path(place.slots)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as files:
        slots = [files.enter_context(open(folder / f"{number:03d}", "a")) for number in range(place.workers)]
        while not any(_take(slot) for slot in slots):
            time.sleep(_POLL_SECONDS * (0.5 + random.random()))
        yield


def _take(slot: Any) -> bool:
    try:
        fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
