"""Shards as tasks of a Ray cluster that shares this store's file system. Ray is an extra: `pip install 'sampan[ray]'`.

Options: `address` (default: the environment's RAY_ADDRESS, else a cluster of this machine is started for the stage)
and any resource that a task asks for beside its CPUs, such as `memory`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from ...core.errors import RecipeError
from ...core.shards import Job, ShardEngine
from ...lang.profile import VARIABLE, own_profiles
from ..processes import attempt, plain_error


def ray_cluster(place: Any) -> ShardEngine:
    """An engine of Ray tasks, at most `place.workers` of them waiting or running at a time."""
    try:
        import ray
    except ImportError as error:
        raise RecipeError(
            f"Ray cannot be imported ({error})", where="--engine ray", how="Run `pip install 'sampan[ray]'`."
        ) from None
    options = dict(place.options)
    address = options.pop("address", None) or os.environ.get("RAY_ADDRESS")
    if own := own_profiles():
        options.setdefault("runtime_env", {"env_vars": {VARIABLE: str(own)}})
    try:
        task = ray.remote(num_cpus=place.threads, max_retries=2, **options)(attempt)
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"Ray does not take these settings ({str(error)[:200]})",
            where="--engine-option",
            how="Settings are `address`, and what a Ray task may ask for, such as `memory`.",
        ) from None

    def run(jobs: Sequence[Job], on_done: Callable[[Job], None]) -> None:
        if not jobs:
            return
        if not ray.is_initialized():
            _connect(ray, address, place)
        _drain(ray, task, jobs, max(1, place.workers), on_done)

    return run


def _connect(ray: Any, address: str | None, place: Any) -> None:
    local = {} if address else {"num_cpus": place.workers * place.threads, "include_dashboard": False}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
    except Exception as error:  # of many kinds, by what is wrong with the address or the cluster
        raise RecipeError(
            f"no Ray cluster at {address} ({' '.join(str(error).split())[:200]})"
            if address
            else f"Ray does not start ({error})",
            where="--engine ray",
            how="Check --engine-option address=… and RAY_ADDRESS; `ray status` shows the cluster.",
        ) from None


def _drain(ray: Any, task: Any, jobs: Sequence[Job], at_once: int, on_done: Callable[[Job], None]) -> None:
    waiting, running, failure = list(reversed(jobs)), {}, None
    while running or (waiting and failure is None):
        while waiting and failure is None and len(running) < at_once:
            job = waiting.pop()
            running[task.remote(job)] = job
        for done in ray.wait(list(running), num_returns=1)[0]:
            job = running.pop(done)
            try:
                error = ray.get(done)
            except ray.exceptions.RayError as lost:
                error = plain_error(lost, where="--engine ray", folder=job.folder.parent)
            failure = failure or error
            if error is None:
                on_done(job)
    if failure is not None:
        raise failure
