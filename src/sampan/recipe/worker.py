"""One stage in a process of its own: runs it, publishes what it made, and dies with its parent."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..core.errors import SampanError
from ..core.params import parse_params
from ..core.spread import ALONE, Spread
from ..core.stage import EXTERNAL, Artifact, Inputs, Runtime, Stage
from ..store.files import disk_errors, read_json
from ..store.outside import check_unchanged, fetch
from ..store.shared import Shared, SharedAt
from ..store.store import Store
from .engines import Place
from .processes import die_with, plain_error
from .ranks import run_stage
from .stages import STAGES

LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "pyarrow", "sentencepiece")
_PROGRESS_SECONDS = 0.2
_SOURCES_NAMED = 20
"""Sources that a manifest names for each licence."""


@dataclass(frozen=True)
class Job:
    """All that a process needs to build one stage; plain values, so that it can be sent."""

    store: str
    kind: str
    params: dict[str, Any]
    inputs: dict[str, list[Artifact]]
    manifest: dict[str, Any]
    threads: int
    device: str
    checkpoint_seconds: float
    place: Place
    spread: Spread = ALONE
    shared: SharedAt | None = None
    """The bucket that other machines build into too."""


def preload() -> None:
    """Import what training stages import, once, in the process that the stage processes are forked from."""
    with contextlib.suppress(ImportError):
        importlib.import_module("torch")
        importlib.import_module("transformers.models.auto.modeling_auto")
        importlib.import_module("transformers.models.auto.tokenization_auto")
        importlib.import_module("transformers.models.llama.modeling_llama")


def main(job: Job, pipe: Connection, lifeline: Connection) -> None:
    """The body of a stage process: sends progress and log, and last ("done", manifest), ("taken", manifest) of what
    another machine has built, or ("failed", error)."""
    die_with(lifeline)
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if "torch" in sys.modules:  # already imported by the server that this process was forked from
        sys.modules["torch"].set_num_threads(job.threads)
    try:
        pipe.send(_share(job, pipe) if job.shared else ("done", build(job, pipe)))
    except SampanError as error:
        pipe.send(("failed", error))
    except BaseException as error:
        folder = Path(job.store) / "scratch" / job.manifest["key"]
        pipe.send(("failed", plain_error(error, where=job.kind, folder=folder)))


def _share(job: Job, pipe: Connection) -> tuple[str, dict[str, Any]]:
    """Build under the bucket's lease and publish there too, or take what another machine has published."""
    shared, store = Shared(job.shared), Store(Path(job.store))
    with shared.lease(job.manifest["key"]) as found:
        if found is not None:
            return "taken", shared.take(found, store)
        return "done", shared.publish(build(job, pipe), store)


def build(job: Job, pipe: Connection | None = None) -> dict[str, Any]:
    """Run the stage under its key's lock and publish; a result that appeared meanwhile is taken as it is."""
    store = Store(Path(job.store))
    key = job.manifest["key"]
    with store.lock(f"key-{key}", what=f"the stage {job.manifest['name']}", wait=True):
        if (found := store.lookup(key)) is not None:
            return found
        stage: Stage = STAGES.load(job.kind)
        params = parse_params(stage.params, job.params, where=job.kind)
        out, state = store.scratch(key)
        runtime = Runtime(
            out=out,
            state=state,
            threads=job.threads,
            device=job.device,
            checkpoint_seconds=job.checkpoint_seconds,
            spread=job.spread,
        )
        runtime.run_shards = job.place.runner()
        if pipe is not None:
            runtime.on_progress, runtime.on_log = _throttled(pipe), lambda text: pipe.send(("log", text))
        inputs = Inputs({role: [fetch(item, store) for item in items] for role, items in job.inputs.items()})
        started, clock, cpu = time.time(), time.perf_counter(), time.process_time()
        with disk_errors(store.root):
            metrics = run_stage(stage, params, inputs, runtime)
        check_unchanged([item for items in job.inputs.values() for item in items if item.kind == EXTERNAL], store)
        times = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.perf_counter() - clock, 3),
            "cpu_seconds": round(time.process_time() - cpu + runtime.elsewhere_seconds, 3),
        }
        processes = runtime.spread.processes
        return store.publish(out, {**job.manifest, **_record(job, metrics, out, processes), "times": times})


def _record(job: Job, metrics: Mapping[str, Any], out: Path, processes: int) -> dict[str, Any]:
    return {
        "metrics": metrics,
        "licenses": all_licenses(job.inputs, metrics, out),
        "license_sources": license_sources(out),
        "libraries": library_versions(),
        "runtime": {"threads": job.threads, "device": job.device, "processes": processes},
    }


def all_licenses(inputs: Mapping[str, Sequence[Artifact]], metrics: Mapping[str, Any], out: Path) -> list[str]:
    """The union of the inputs' licences, of those that the stage reports and of those of the rows it wrote."""
    found = {name for items in inputs.values() for item in items for name in item.licenses}
    summary = read_json(out / "summary.json") or {}
    return sorted(found | set(metrics.get("licenses", [])) | set(summary.get("licenses", [])))


def license_sources(out: Path) -> dict[str, list[str]]:
    """The first sources of the written rows by licence, '' for rows that state none; {} if none were written."""
    summary = read_json(out / "summary.json") or {}
    return {name: list(sources)[:_SOURCES_NAMED] for name, sources in summary.get("by_license", {}).items()}


def library_versions() -> dict[str, str]:
    """Versions of the libraries that results may depend on."""
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _throttled(pipe: Connection):
    last = [0.0]

    def send(done: int, total: int | None, unit: str) -> None:
        now = time.monotonic()
        if now - last[0] >= _PROGRESS_SECONDS or (total is not None and done >= total):
            last[0] = now
            pipe.send(("progress", done, total, unit))

    return send
