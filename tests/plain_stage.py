"""Running one stage on plain files."""

from __future__ import annotations

from pathlib import Path

import pytest

from sampan.core.identity import digest_file, digest_tree
from sampan.core.params import parse_params
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.recipe.stages import STAGES


@pytest.fixture
def run_stage(tmp_path):
    """`run_stage(name, params, {role: paths or artifacts})` gives (metrics, the artifact made)."""
    made = []

    def run(name, params, inputs):
        stage = STAGES.load(name)
        values = parse_params(stage.params, params, where=name)
        out = tmp_path / f"out-{len(made)}"
        out.mkdir()
        made.append(out)
        given = Inputs({role: [_artifact(item) for item in items] for role, items in inputs.items()})
        runtime = Runtime(out=out, state=tmp_path / f"state-{len(made)}")
        metrics = stage.run(values, given, runtime)
        kind = stage.kind(values, {})
        return metrics, Artifact(path=out, kind=kind, digest=digest_tree(out), name=name)

    return run


def _artifact(item):
    if isinstance(item, Artifact):
        return item
    path = Path(item)
    digest = digest_tree(path) if path.is_dir() else digest_file(path)
    return Artifact(path=path, kind="external", digest=digest, name=path.name)
