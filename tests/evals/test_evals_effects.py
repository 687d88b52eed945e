"""`benchmarks/effects_of_steps.py`: other seeds of the same lineage, and a verdict that can be negative."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from sampan.evals.statistics import interval, repeated
from sampan.recipe.load import bundled, load_recipe
from sampan.recipe.plan import make_plan
from sampan.recipe.resolve import resolve
from sampan.store.store import Store

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def effects(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import effects_of_steps

    return effects_of_steps


def test_other_seeds_draw_everything_again_and_change_nothing_else(effects, tmp_path):
    recipe = load_recipe(bundled()[effects.RECIPE])
    (tmp_path / "r.yaml").write_text(effects.reseeded(recipe, 2), encoding="utf-8")
    other = load_recipe(tmp_path / "r.yaml")
    assert other.stages.keys() == recipe.stages.keys()
    unlike = set()
    for name, stage in recipe.stages.items():
        twin = other.stages[name]
        assert (twin.kind, twin.sources) == (stage.kind, stage.sources)
        changed = {key for key in twin.params if twin.params[key] != stage.params.get(key)}
        assert changed <= {"seed", "world_seed"}
        unlike |= {name} if changed else set()
        if stage.kind == "corpus.village":
            assert twin.params["world_seed"] == 2, "all must tell of one world"
    drawn = ("train.", "corpus.village", "corpus.pack", "model.init", "merge.")
    assert {name for name, stage in recipe.stages.items() if stage.kind.startswith(drawn)} <= unlike
    plan = make_plan(other, resolve(other), Store(tmp_path / "store"))
    assert not plan.missing


def test_the_recipe_is_the_twin_with_larger_numbers(effects):
    """Same stages and edges, but for the questions on manner that it asks besides and the published tests that it does
    without."""
    twin, recipe = (load_recipe(bundled()[name]) for name in ("sea-lion-v3-llama-8b-tiny", effects.RECIPE))
    assert recipe.stages.keys() - twin.stages.keys() == {"open_questions"}
    without = {twin.stages[name].kind for name in twin.stages.keys() - recipe.stages.keys()}
    assert without == {"evals.judge", "evals.sea_helm", "evals.lm_eval", "corpus.village"}
    for name in twin.stages.keys() & recipe.stages.keys():
        stage = twin.stages[name]
        assert recipe.stages[name].kind == stage.kind
        if name != "scores":
            assert recipe.stages[name].sources == stage.sources
    assert set(effects.MODELS) == set(recipe.stages["scores"].sources["models"])


def test_errors_of_items_and_of_runs_go_together():
    """Runs that agree leave the items' error and its freedom; runs that differ make the interval wide."""
    same = repeated([2.0, 2.0, 2.0], [0.9, 0.9, 0.9], [50, 50, 50])
    assert (same.of_runs, same.mean) == (0.0, 2.0)
    assert same.stderr == same.of_items == pytest.approx(0.9 / math.sqrt(3))
    assert (same.low, same.high) == pytest.approx(interval(2.0, same.stderr, 3 * 49 + 1))
    apart = repeated([0.0, 2.0, 4.0], [0.0, 0.0, 0.0], [50, 50, 50])
    assert apart.of_runs == apart.stderr == pytest.approx(2 / math.sqrt(3))
    assert (apart.low, apart.high) == pytest.approx(interval(2.0, apart.stderr, 3)), "three runs: two degrees"
    alone = repeated([2.0], [0.9], [50])
    assert (alone.of_runs, alone.stderr) == (None, 0.9), "one run says nothing of how runs differ"
    assert (alone.low, alone.high) == interval(2.0, 0.9, 50)


def runs_with(effects, before, after):
    """Three runs in which every model scores `before` and every last step `after`, of 40 facts in every language."""
    runs = []
    for seed in range(3):
        asked, values = {}, {}
        for languages in effects.GROUPS.values():
            for language in languages:
                for pairs in effects.SKILLS.values():
                    for task, metric in pairs:
                        asked[task, language] = [f"fact{n}-{language}-chat" for n in range(40)]
                        for model in effects.MODELS:
                            share = after if model == "aligned" else before
                            values[model, task, language, metric] = [
                                float((n * 7 + seed) % 40 < 40 * share) for n in range(40)
                            ]
        runs.append(effects.Run(values, asked))
    return runs


@pytest.mark.parametrize(
    ("after", "chat", "tasks"),
    [
        (0.9, "appears", "does not appear"),
        (0.1, "does not appear", "appears"),
        (0.5, "cannot be told", "cannot be told"),
    ],
)
def test_a_verdict_can_go_either_way(effects, after, chat, tasks):
    """Alignment is said to help chat and to cost tasks: where both rise, one of the two does not appear."""
    rows = {(row["child"], row["skill"]): row for row in effects.judged(runs_with(effects, 0.5, after))}
    assert rows["aligned", "chat"]["verdict"] == chat
    assert rows["aligned", "tasks"]["verdict"] == tasks
    assert rows["aligned", "tasks"]["mean"] == pytest.approx(100 * (after - 0.5))
    assert rows["stage_1", "tasks"]["verdict"] == "cannot be told", "nothing happened there"


def test_items_on_one_fact_count_as_one_draw(effects):
    """In four languages and three tasks the same 40 facts: 480 items, 40 clusters."""
    gap = runs_with(effects, 0.5, 0.9)[0].gap("merge_2", "aligned", "tasks", "region")
    assert (gap.n, gap.clusters) == (480, 40)


def test_the_page_holds_what_was_found(effects, tmp_path):
    """The tables in docs/why/effects.md and the picture are those of the result file."""
    import effects_page

    found = json.loads((BENCHMARKS / "results" / "effects_of_steps.json").read_text(encoding="utf-8"))
    page = effects_page.PAGE.read_text(encoding="utf-8")
    assert effects_page.effects_table(found["effects"]) in page
    assert effects_page.gains_table(found["gains"]) in page
    assert effects_page.PICTURE.read_text(encoding="utf-8") == effects_page.draw(found["levels"])
    claims = [SimpleNamespace(**row) for row in found["effects"]]
    assert [row.said for row in claims] == [claim.said for claim in effects.CLAIMS], "every claim, and no other"
    for row in claims:
        assert row.verdict == effects.verdict(row.sign, row.low, row.high)
        assert len(row.by_seed) == len(found["seeds"])
    assert found["ok"] == (len(found["seeds"]) >= 3)
