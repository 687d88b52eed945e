"""model.import: what the user says of a model from outside goes with it."""

import pytest

from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.model.adopt import STAGE


@pytest.mark.parametrize(("given", "licenses"), [("Apache-2.0", ["Apache-2.0"]), ("", [])])
def test_the_licence_of_an_imported_model_is_reported(tiny, tmp_path, given, licenses):
    for name in ("out", "state"):
        (tmp_path / name).mkdir()
    source = Artifact(path=tiny, kind="external", digest="", name="tiny")
    runtime = Runtime(out=tmp_path / "out", state=tmp_path / "state")
    metrics = STAGE.run(STAGE.params(license=given), Inputs({"files": [source]}), runtime)
    assert metrics["licenses"] == licenses
    assert metrics["parameters"] > 0
