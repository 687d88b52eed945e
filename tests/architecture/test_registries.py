"""Every table of lazy strings loads, names its source and appears in docs/papers.md; schemas are golden."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from sampan.core.errors import RecipeError
from sampan.core.params import describe
from sampan.core.stage import EXTERNAL, KINDS, Stage
from sampan.corpus.filters import FILTERS
from sampan.merge.methods import METHODS
from sampan.recipe.stages import STAGES
from sampan.train.objectives import OBJECTIVES
from sampan.vocab.init import INITS

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", list(STAGES))
def test_stage(name):
    stage = STAGES.load(name)
    assert isinstance(stage, Stage)
    assert stage.name == name
    assert stage.paper, "name the paper or the reason"
    assert stage.summary.endswith(".")
    assert stage.output in KINDS or callable(stage.output)
    for row in describe(stage.params):
        assert row["doc"], f"{row['name']} has no doc string below it"
    for role in stage.inputs.values():
        assert set(role.kinds) <= {*KINDS, EXTERNAL}
        assert role.help
    assert f"`{name}`" in (DOCS / "papers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(STAGES))
def test_schema_is_frozen(name, golden):
    """A changed default or parameter changes results: raise the stage's revision, then `make golden`."""
    stage = STAGES.load(name)
    schema = {
        "stage": name,
        "revision": stage.revision,
        "params": [{k: row[k] for k in ("name", "type", "default")} for row in describe(stage.params)],
        "inputs": {
            role: {"kinds": list(spec.kinds), "many": spec.many, "required": spec.required}
            for role, spec in stage.inputs.items()
        },
    }
    golden(f"schemas/{name}.json", json.dumps(schema, indent=1) + "\n")


TABLES = {"merge method": METHODS, "objective": OBJECTIVES, "filter": FILTERS, "initialisation": INITS}


@pytest.mark.parametrize(("what", "name"), [(what, name) for what, table in TABLES.items() for name in table])
def test_entry_has_revision_and_source(what, name):
    """The function's module declares a revision, and docs/papers.md says where the method comes from."""
    loaded = TABLES[what].load(name)
    function = loaded if callable(loaded) else getattr(loaded, "run", None) or loaded.rows
    module = sys.modules[function.__module__]
    assert TABLES[what].revision(name) == str(module.REVISION), "what plan reads without importing"
    assert module.__doc__
    assert f"`{name}`" in (DOCS / "papers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "task", sorted(files("sampan.evals").joinpath("tasks").iterdir(), key=str), ids=lambda p: p.name
)
def test_task_is_documented(task):
    assert f"`{task.name.removesuffix('.yaml')}`" in (DOCS / "papers.md").read_text(encoding="utf-8")


def test_typo_gets_a_suggestion():
    with pytest.raises(RecipeError, match="Did you mean 'corpus.clean'"):
        STAGES.load("corpus.claen")
