"""Means of runs that differ by chance: values, errors and what cannot be averaged, against hand-computed figures."""

from __future__ import annotations

import dataclasses
import math
import random
import statistics

import pytest

from sampan.artifacts.item_values import Asked, ItemValues, read_item_values, write_item_values
from sampan.artifacts.scores import Score, read_scores, write_scores
from sampan.core.errors import RecipeError, StageError
from sampan.evals.mean_of_runs import STAGE

RUNS = {"a": [1, 1, 0, 0], "b": [1, 0, 0, 0], "c": [1, 1, 1, 0]}


@pytest.fixture
def scored(tmp_path, artifact):
    """Scores of runs by name; `told` says whether the items' values are kept."""

    def make(runs, *, told=True, **changes):
        sources = []
        for name, values in runs.items():
            folder = tmp_path / name
            folder.mkdir()
            same = {"task": "quiz", "language": "tha_Thai", "metric": "acc", "prompt_digest": "p", "revision": 1}
            same |= {"model": name, "model_digest": name * 4} | changes.get(name, {})
            mean = sum(values) / len(values)
            write_scores(folder, [Score(value=mean, stderr=0.1, n=len(values), higher_is_better=True, **same)])
            if told:
                asked = [Asked("quiz", "tha_Thai", same["prompt_digest"], [str(n) for n in range(len(values))], [], [])]
                write_item_values(folder, asked, [ItemValues(values=values, **same)])
            sources.append(artifact(folder, "scores"))
        return {"scores": sources}

    return make


def test_value_and_both_errors_by_hand(run_stage, scored):
    out, metrics = run_stage(STAGE, scored(RUNS), runs={"sft": ["a", "b", "c"]})
    (score,) = read_scores(out)
    # runs 1/2, 1/4, 3/4; items' means 1, 2/3, 1/3, 0
    runs = statistics.stdev([0.5, 0.25, 0.75]) / math.sqrt(3)
    items = statistics.stdev([1, 2 / 3, 1 / 3, 0]) / math.sqrt(4)
    assert (score.model, score.value, score.n) == ("sft", 0.5, 4)
    assert score.stderr == pytest.approx(math.hypot(runs, items), abs=1e-12)
    asked, (values,) = read_item_values(out)
    assert values.values == pytest.approx([1, 2 / 3, 1 / 3, 0], abs=1e-6)  # written with seven digits
    assert len(asked) == 1
    assert metrics["incomplete"] == []


def test_without_items_the_error_is_that_over_runs(run_stage, scored):
    out, _ = run_stage(STAGE, scored(RUNS, told=False), runs={"sft": ["a", "b", "c"]})
    (score,) = read_scores(out)
    assert score.stderr == pytest.approx(statistics.stdev([0.5, 0.25, 0.75]) / math.sqrt(3), abs=1e-12)
    assert read_item_values(out)[1] == []


def test_the_error_is_not_too_small(run_stage, scored):
    """Items and runs drawn anew 400 times: the mean square of the stated error is at least the mean's true variance."""
    from sampan.evals.mean_of_runs import _item_means, _mean

    draw, means, errors = random.Random(0), [], []
    for _ in range(400):
        ease = [draw.gauss(0, 1) for _ in range(30)]
        runs = []
        for number in range(3):
            luck = draw.gauss(0, 0.3)
            runs.append((f"m{number}", [e + luck + draw.gauss(0, 0.5) for e in ease]))
        same = {"task": "t", "language": "", "metric": "x", "prompt_digest": "p", "revision": 1}
        scores = [
            Score(model=m, model_digest=m, value=statistics.mean(v), stderr=None, n=30, higher_is_better=True, **same)
            for m, v in runs
        ]
        kept = [ItemValues(model=m, model_digest=m, values=v, **same) for m, v in runs]
        items = _item_means("all", ("t", "", "x"), kept, scores)
        asked = {("t", "", "p"): Asked("t", "", "p", [str(n) for n in range(30)], [], [])}
        score = _mean("all", scores, items, asked)
        means.append(score.value)
        errors.append(score.stderr**2)
    # True variance 1/30 + .09/3 + .25/90 = .0661; the error counts the last part twice. Sampling: about 7 %.
    assert 0.93 <= statistics.mean(errors) / statistics.variance(means) <= 1.2


def test_what_cannot_be_averaged_is_said(run_stage, scored):
    with pytest.raises(RecipeError, match="'sfd' has no scores"):
        run_stage(STAGE, scored({"sft": [1, 0]}), runs={"mean": ["sft", "sfd"]})
    with pytest.raises(ValueError, match="at least two models"):
        STAGE.params(runs={"mean": ["a", "a"]})


def test_runs_asked_otherwise_are_refused(run_stage, scored):
    with pytest.raises(StageError, match="not asked the same in quiz/tha_Thai/acc"):
        run_stage(STAGE, scored({"a": [1, 0], "b": [0, 1]}, b={"prompt_digest": "q"}), runs={"m": ["a", "b"]})


def test_a_score_that_one_run_lacks_is_left_out_by_name(run_stage, scored):
    given = scored({"a": [1, 0], "b": [0, 1]})
    folder = given["scores"][0].path
    (row,) = read_scores(folder)
    write_scores(folder, [row, dataclasses.replace(row, task="more")])
    out, metrics = run_stage(STAGE, given, runs={"m": ["a", "b"]})
    assert [score.task for score in read_scores(out)] == ["quiz"]
    assert metrics["incomplete"] == ["m: more/tha_Thai/acc has 1 of 2 runs"]
