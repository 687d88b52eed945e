"""One stage on plain paths: no recipe, no store; the manifest is written beside the files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.identity import digest_file, digest_tree
from ..core.params import all_values
from ..core.spread import ALONE, Spread
from ..core.stage import EXTERNAL, KINDS, Artifact, Inputs, Runtime, Stage
from ..store.files import disk_errors
from ..store.store import MANIFEST
from .engines import Place
from .facts import of_outside
from .plan import forecast
from .ranks import run_stage
from .worker import all_licenses, library_versions


def run_alone(
    stage: Stage,
    params: Any,
    sources: Mapping[str, Sequence[Path]],
    out: Path,
    *,
    state: Callable[[str], Path],
    place: Place,
    threads: int = 1,
    device: str = "cpu",
    spread: Spread = ALONE,
    on_progress: Callable[[int, int | None, str], None] = lambda done, total, unit: None,
    on_log: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Run `stage` on files and folders into the new folder `out`; returns the manifest, also written there.

    `state` gives the folder of unfinished work for a stage key; `place` is where shards run.
    """
    inputs = {role: [_artifact(path) for path in paths] for role, paths in sources.items()}
    kinds = _kinds(stage, params, inputs)
    digests = {role: [item.digest for item in items] for role, items in inputs.items()}
    key = stage.key(params, digests)
    out.mkdir(parents=True)
    unfinished = state(key)
    unfinished.mkdir(parents=True, exist_ok=True)
    clock = time.perf_counter()
    runtime = Runtime(
        out=out,
        state=unfinished,
        threads=threads,
        device=device,
        spread=spread,
        on_progress=on_progress,
        on_log=on_log,
    )
    runtime.run_shards = place.runner()
    with disk_errors(out.parent, option="--out"):
        metrics = run_stage(stage, params, Inputs(inputs), runtime)
    manifest = {
        "name": stage.name,
        "stage": stage.name,
        "revision": stage.revision,
        "kind": stage.kind(params, kinds),
        "key": key,
        "digest": digest_tree(out),
        "params": all_values(params),
        "inputs": {
            role: [{"name": item.name, "kind": item.kind, "digest": item.digest} for item in items]
            for role, items in inputs.items()
        },
        "metrics": metrics,
        "licenses": all_licenses(inputs, metrics, out),
        "libraries": library_versions(),
        "times": {"seconds": round(time.perf_counter() - clock, 3)},
    }
    (out / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
    return manifest


def foresee(stage: Stage, params: Any, sources: Mapping[str, Sequence[Path]]) -> dict[str, float]:
    """What `run_alone` would take, by the stage's own forecast; refuses the inputs that it would refuse by their kind.
    Reads nothing but headers."""
    inputs = {role: [_artifact(path, digest=False) for path in paths] for role, paths in sources.items()}
    _kinds(stage, params, inputs)
    return forecast(stage, params, _facts(inputs))


def _kinds(stage: Stage, params: Any, inputs: Mapping[str, Sequence[Artifact]]) -> dict[str, list[str]]:
    """The kinds of the inputs by role; RecipeError unless the stage takes them with these params."""
    kinds = {role: [item.kind for item in items] for role, items in inputs.items()}
    here = f"sampan do {stage.name}"
    stage.check_inputs(kinds, params, where=here, add="Give it with --from {role}=PATH.")
    if stage.check_facts:
        stage.check_known(_facts(inputs), params, where=here)
    return kinds


def _facts(inputs: Mapping[str, Sequence[Artifact]]) -> dict[str, list[dict[str, Any]]]:
    return {role: [of_outside(item) for item in items] for role, items in inputs.items()}


def _artifact(path: Path, *, digest: bool = True) -> Artifact:
    """A path as an input; a folder that Sampan made is known by the manifest inside it."""
    if not path.exists():
        raise InputError("no such file or folder", where=str(path))
    content = ""
    if digest:
        content = digest_file(path) if path.is_file() else digest_tree(path, skip=[MANIFEST])
    manifest = {}
    if (path / MANIFEST).is_file():
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        except ValueError:
            manifest = {}
    kind = manifest.get("kind") if manifest.get("kind") in KINDS else EXTERNAL
    return Artifact(path=path.resolve(), kind=kind, digest=content, name=path.name, manifest=manifest)
