"""Shards as a Slurm job array through submitit: `pip install 'sampan[slurm]'`. The store must be on a shared disk.

Options are submitit's parameters (`slurm_partition`, `timeout_min`, `mem_gb`, `slurm_account` …) and `cluster`: `slurm`
(default), or `local` to try the same path without Slurm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import RecipeError, SampanError, StageError
from ...core.shards import Job, ShardEngine, finished
from ..processes import attempt

_POLL_SECONDS = 1.0
_SHARED_DISK_SECONDS = 60.0
"""How long a file that another machine wrote may take to be seen here."""


def slurm_array(place: Any) -> ShardEngine:
    """An engine of array tasks, `place.workers` of them at a time."""
    try:
        import submitit
    except ImportError as error:
        raise RecipeError(
            f"submitit cannot be imported ({error})", where="--engine slurm", how="Run `pip install 'sampan[slurm]'`."
        ) from None
    options = dict(place.options)
    cluster = options.pop("cluster", "slurm")

    def run(jobs: Sequence[Job], on_done: Callable[[Job], None]) -> None:
        if not jobs:
            return
        folder = jobs[0].folder.parent / "slurm"
        executor = _executor(submitit, folder, cluster, options, place)
        if cluster == "slurm":
            _collect(dict(zip(executor.map_array(attempt, jobs), jobs, strict=True)), on_done)
            return
        size = max(1, place.workers)  # submitit's own local executor has no array limit
        for first in range(0, len(jobs), size):
            some = jobs[first : first + size]
            _collect(dict(zip(executor.map_array(attempt, some), some, strict=True)), on_done)

    return run


def _executor(submitit: Any, folder: Path, cluster: str, options: Mapping[str, Any], place: Any) -> Any:
    limits = {"slurm_array_parallelism": max(1, place.workers)} if cluster == "slurm" else {}
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(name="sampan", cpus_per_task=place.threads, **{**limits, **options})
    except Exception as error:  # of many kinds: no Slurm here, an unknown cluster, an unknown or wrong parameter
        raise RecipeError(
            f"submitit refuses ({' '.join(str(error).split())[:300]})",
            where="--engine slurm",
            how="Settings are submitit's parameters, such as slurm_partition and timeout_min, and `cluster`.",
        ) from None
    return executor


def _collect(running: dict[Any, Job], on_done: Callable[[Job], None]) -> None:
    failure = None
    while running:
        for task in [task for task in running if task.done()]:
            job = running.pop(task)
            error = _answer(task, job)
            failure = failure or error
            if error is None:
                on_done(job)
        if running:
            time.sleep(_POLL_SECONDS)
    if failure is not None:
        raise failure


def _answer(task: Any, job: Job) -> SampanError | None:
    failure = task.exception()
    if failure is not None:
        return StageError(
            f"shard {job.folder.name}: the array task {task.job_id} ended without an answer",
            how=f"Its log is {task.paths.stderr}",
        )
    until = time.monotonic() + _SHARED_DISK_SECONDS
    while (error := task.result()) is None and finished(job) is None and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    return error
