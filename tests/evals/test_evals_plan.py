"""What `plan` says of `evals.run`: refusals before anything is built, and how much is asked."""

from __future__ import annotations

import json

import pytest

from sampan.core.errors import RecipeError
from sampan.core.params import parse_params
from sampan.evals.groups import only_languages
from sampan.evals.run import STAGE
from sampan.evals.suites import SUITES
from sampan.evals.task_file import load_task, pairs, task_names
from sampan.evals.task_items import task_groups
from sampan.evals.workload import ROWS, directions_of, workload
from sampan.lang.codes import normalise_code
from sampan.recipe.search.stage import STAGE as SEARCH


def params(**values):
    return parse_params(STAGE.params, values, where="test")


@pytest.mark.parametrize(
    ("values", "given", "says"),
    [
        ({"suite": "sea"}, {}, "`suite` needs the input `data`"),
        ({"tasks": ["xcopa"]}, {"held_out": ["documents"]}, "`tasks` needs the input `data`"),
        ({}, {}, "nothing to ask"),
        ({}, {"data": ["external"]}, "nothing to ask"),
    ],
)
def test_evals_plan_refuses_what_could_only_fail_later(values, given, says):
    with pytest.raises(RecipeError, match=says):
        STAGE.check_inputs({"models": ["checkpoint"], **given}, params(**values), where="recipe")
    search = parse_params(SEARCH.params, {"methods": ["linear"], "evaluation": values}, where="test")
    with pytest.raises(RecipeError, match=says):
        SEARCH.check_inputs({"models": ["checkpoint"], "base": ["checkpoint"], **given}, search, where="recipe")


@pytest.mark.parametrize(
    ("values", "given"),
    [({"suite": "sea"}, {"data": ["external"]}), ({}, {"held_out": ["documents"]}), ({}, {"items": ["items"]})],
)
def test_evals_plan_takes_what_can_be_asked(values, given):
    STAGE.check_inputs({"models": ["checkpoint"], **given}, params(**values), where="recipe")


def test_evals_sizes_are_known_of_every_task():
    assert set(ROWS) == set(task_names())


@pytest.mark.parametrize(
    ("values", "directions"),
    [
        ({}, 24),
        ({"directions": "all"}, 156),
        ({"languages": ["en", "lo"]}, 2),
        ({"languages": ["th", "lo"]}, 2),
        ({"languages": ["en", "th", "lo"]}, 4),
        ({"languages": ["en", "th", "lo"], "directions": "all"}, 6),
    ],
)
def test_evals_forecast_counts_what_flores_asks(tmp_path, values, directions):
    """The same directions that are asked, at the published number of sentences."""
    asked = params(tasks=["flores"], **values)
    found = workload(asked, None)
    assert found.items == directions * 1012
    assert found.tokens == found.items * (200 + load_task("flores").max_new_tokens)
    columns = ("en", "id", "jv", "km", "lo", "ms", "my", "su", "ta", "tl", "th", "vi", "zh")
    (tmp_path / "flores200").mkdir()
    row = {"id": 0, **{column: f"text {column}" for column in columns}}
    (tmp_path / "flores200/devtest.jsonl").write_text(json.dumps(row), "utf-8")
    groups = task_groups(["flores"], tmp_path, directions=directions_of(asked))
    codes = [normalise_code(language) for language in asked.languages]
    assert len(only_languages(groups, codes, {group.language for group in groups})) == directions


def test_evals_forecast_sees_a_suites_size(tmp_path):
    """Not the 500 items for each of five languages that any suite was taken for."""
    models = [{"parameters": 1e9}]
    whole = STAGE.estimate(params(suite="sea"), {"models": models})
    count = sum(
        len(pairs(load_task(name), list(load_task(name).languages), "english")) * ROWS[name] for name in SUITES["sea"]
    )
    assert whole["documents"] == count > 24 * 1012
    every = STAGE.estimate(params(suite="sea", directions="all"), {"models": models})
    assert every["documents"] - whole["documents"] == 132 * 1012
    few = STAGE.estimate(params(suite="sea", max_items=10), {"models": models})
    assert few["flops"] < whole["flops"] / 20
    (tmp_path / "eval/xcopa").mkdir(parents=True)
    (tmp_path / "eval/xcopa/id.test.jsonl").write_text("{}", "utf-8")
    here = STAGE.estimate(
        params(suite="sea", data_folder="eval"), {"models": models, "data": [{"path": str(tmp_path)}]}
    )
    assert here["documents"] == 5 * 500, "of a suite only what has a file is asked"
