"""`benchmarks/scoreboard_real_mini.py`: it asks what the recipe asks, and says whether all of it is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sampan.recipe.load import bundled, load_recipe

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import scoreboard_real_mini

    return scoreboard_real_mini


def test_the_scored_models_of_real_mini_are_one_lineage(script):
    recipe = load_recipe(bundled()[script.RECIPE])
    stages = [declared for declared in recipe.stages.values() if declared.kind == "evals.run"]
    models = [model for declared in stages for model in declared.sources["models"]]
    assert len(set(models)) == len(models) == 9
    found = script.parents(recipe, models)
    assert set(models) - set(found) == {"base"}
    for model in models:
        steps = 0
        while model in found:
            model, steps = found[model], steps + 1
            assert steps < len(models)
        assert model == "base"


def test_the_result_is_of_the_whole_scoreboard(script):
    """As long as a result is kept: of all nine models, complete, within the bar or said not to be."""
    file = ROOT / "benchmarks/results/scoreboard_real_mini.json"
    if not file.is_file():
        pytest.skip("not measured yet")
    found = json.loads(file.read_text("utf-8"))
    assert (found["models"], found["complete"]) == (9, True)
    assert found["changes"] > 0
    assert found["peer"] == script.BAR_SECONDS
    assert found["ok"] == (found["ours"] <= script.BAR_SECONDS)
