"""Work cut into shards: each is one call of a named function that writes into a folder of its own, once.

A stage describes its jobs as plain JSON values and hands them to `Runtime.shards`; whether they run one after another,
in worker processes, on a Ray cluster or as a Slurm array is the engine's affair and never shows in the result.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .disk import sync_folder, sync_tree

FACTS = "facts.json"
"""Beside a finished shard's files: what its function returned, and the digest of the job it was for."""

_PART = ".part"
"""Ends the name of a folder that an attempt is writing into."""


@dataclass(frozen=True)
class Job:
    """One call to make: `function` is `package.module:attribute`, taking (job, out folder), giving JSON facts."""

    function: str
    job: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True)
class Shard:
    """A finished job: the folder it wrote, and what it returned."""

    folder: Path
    facts: Mapping[str, Any]
    cpu_seconds: float = 0.0
    """CPU time of the process that did it."""
    process: int = 0
    """That process's id."""


ShardEngine = Callable[[Sequence[Job], Callable[[Job], None]], None]
"""Finish all jobs, in any order and anywhere that sees their folders, by calling `run_job` on each; tell of each as it
ends. The first error is raised once what has started is over."""


def run_job(job: Job) -> Shard:
    """The finished shard of a job: made now, or found as an earlier attempt left it. A broken-off one starts anew.

    Each attempt writes into a folder of its own, so that one which a cluster has given up, and which goes on all the
    same, cannot harm the next.
    """
    if (done := finished(job)) is not None:
        return done
    module, _, attribute = job.function.partition(":")
    _clear_dead_attempts(job.folder)
    aside = job.folder.with_name(f"{job.folder.name}.{platform.node()}.{os.getpid()}{_PART}")
    aside.mkdir(parents=True)
    try:
        function = getattr(importlib.import_module(module), attribute)
        clock = time.process_time()
        facts = dict(function(job.job, aside) or {})
        record = {"facts": facts, "cpu_seconds": time.process_time() - clock, "process": os.getpid()}
        with open(aside / FACTS, "w", encoding="utf-8") as file:
            json.dump({"job": _digest(job), **record}, file, ensure_ascii=False)
        sync_tree(aside)  # before it has its name: after a power cut a finished shard is whole
        return _publish(aside, job) or Shard(job.folder, **record)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _publish(aside: Path, job: Job) -> Shard | None:
    """Give the folder its name; what another attempt has finished meanwhile stays, and is returned."""
    if (done := finished(job)) is not None:
        return done
    shutil.rmtree(job.folder, ignore_errors=True)
    try:
        os.rename(aside, job.folder)
    except OSError:
        if (done := finished(job)) is None:
            raise
        return done
    sync_folder(job.folder.parent)
    return None


def _clear_dead_attempts(folder: Path) -> None:
    """Remove what killed processes of this machine left of this job; other machines' may be at work."""
    for path in folder.parent.glob(f"{folder.name}.*{_PART}"):
        node, _, process = path.name.removeprefix(f"{folder.name}.").removesuffix(_PART).rpartition(".")
        if node == platform.node() and (
            process == str(os.getpid()) or not (process.isdigit() and _alive(int(process)))
        ):
            shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True


def finished(job: Job) -> Shard | None:
    """The shard if an earlier attempt at this very job finished it."""
    try:
        kept = json.loads((job.folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict) or kept.pop("job", None) != _digest(job):
        return None
    return Shard(job.folder, **kept)


def one_by_one(jobs: Sequence[Job], on_done: Callable[[Job], None]) -> None:
    """The engine that needs nothing: every job in this process, in order."""
    for job in jobs:
        run_job(job)
        on_done(job)


def _digest(job: Job) -> str:
    text = json.dumps([job.function, job.job], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
