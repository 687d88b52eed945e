"""The Open LLM Leaderboard's normalisation: its own worked numbers, a published row, and what is missing."""

from __future__ import annotations

import json

import pytest

from sampan.artifacts.profile_table import LANGUAGE, read_profile_table
from sampan.artifacts.scores import Score, read_scores
from sampan.core.errors import RecipeError
from sampan.evals.leaderboard import PROFILE, TASKS, TESTS, leaderboard_cells, normalised
from sampan.evals.published import published


def score(task: str, metric: str, value: float, n: int = 100, stderr: float | None = 0.05) -> Score:
    return Score(
        model="m", model_digest="", task=task, language="", metric=metric, value=value, stderr=stderr, n=n,
        higher_is_better=True, prompt_digest="", revision=1,
    )  # fmt: skip


def cell_of(scores, name):
    return next(cell for cell in leaderboard_cells(scores) if cell.competency == name)


def test_evals_leaderboard_worked_numbers_of_its_documentation():
    assert round(normalised(0.6, 4), 2) == 46.67
    assert normalised(0.2, 4) == 0  # below guessing
    assert normalised(0.7, 2) == pytest.approx(40)
    assert normalised(0.4, 5) == pytest.approx(25)
    musr = [("murder_mysteries", 0.7), ("object_placements", 0.4), ("team_allocation", 0.6)]
    # the page has 40.03 for the third, from a chance of 0.333
    assert cell_of([score(f"leaderboard_musr_{n}", "acc_norm", v) for n, v in musr], "musr").value == pytest.approx(35)


def test_evals_leaderboard_average_of_a_published_row():
    rows = {
        r.metric: r.value for r in published() if (r.task, r.model) == ("open_llm_leaderboard", "SeaLLMs-v3-7B-Chat")
    }
    raw = [score("leaderboard_ifeval", metric, rows["ifeval"] / 100) for metric in TESTS["ifeval"].metrics]
    for name in ("bbh", "math_hard", "gpqa", "musr", "mmlu_pro"):
        for task, choices in TESTS[name].choices.items():
            chance = 1 / choices if choices else 0
            raw.append(score(task, TESTS[name].metrics[0], chance + rows[name] / 100 * (1 - chance)))
    cells = {cell.competency: cell for cell in leaderboard_cells(raw)}
    for name in TESTS:
        assert cells[name].value == pytest.approx(rows[name]), name
    assert round(cells[LANGUAGE].value, 2) == rows["average"]
    assert cells[LANGUAGE].not_run == {}
    assert cells["bbh"].stderr < cells["mmlu_pro"].stderr  # a mean of 24


def test_evals_leaderboard_pools_items_of_gpqa_and_mathematics():
    raw = [
        score("leaderboard_gpqa_diamond", "acc_norm", 0.1, 198),
        score("leaderboard_gpqa_main", "acc_norm", 0.55, 448),
    ]
    share = (0.1 * 198 + 0.55 * 448) / 646
    # normalised after pooling: a subtask below guessing pulls the rest down
    cell = cell_of(raw, "gpqa")
    assert cell.value == pytest.approx(100 * (share - 0.25) / 0.75)
    assert cell.n == 646
    error = ((0.05 * 198) ** 2 + (0.05 * 448) ** 2) ** 0.5 / 646
    assert cell.stderr == pytest.approx(100 * error / 0.75)
    assert list(cell.not_run) == ["leaderboard_gpqa_extended"]


def test_evals_leaderboard_missing_tests_are_no_zeros():
    cells = {cell.competency: cell for cell in leaderboard_cells([score("leaderboard_mmlu_pro", "acc", 0.55)])}
    assert cells["mmlu_pro"].value == cells[LANGUAGE].value == pytest.approx(50)
    assert cells["bbh"].value is None
    assert len(cells["bbh"].not_run) == 24
    assert len(cells[LANGUAGE].not_run) == 24 + 1 + 7 + 3 + 3
    half = [score("leaderboard_ifeval", "prompt_level_strict_acc", 0.5)]
    assert cell_of(half, "ifeval").value is None  # of two accuracies one is missing


def test_evals_leaderboard_tasks_and_choices_are_those_of_lm_eval():
    """The bundled task files: every name is there, and as many choices as we divide by."""
    yaml = pytest.importorskip("yaml")
    lm_eval_tasks = pytest.importorskip("lm_eval.tasks")
    from pathlib import Path

    class Loader(yaml.SafeLoader):
        """Passes over `!function`."""

    Loader.add_constructor("!function", lambda loader, node: None)
    found = {}
    for file in (Path(lm_eval_tasks.__file__).parent / "leaderboard").rglob("*.yaml"):
        config = yaml.load(file.read_text("utf-8"), Loader)
        found[config.get("task") if isinstance(config.get("task"), str) else config.get("group")] = config
    assert set(TASKS) <= set(found)
    for test in TESTS.values():
        for task, choices in test.choices.items():
            told = found[task].get("doc_to_choice")
            if isinstance(told, list):
                assert len(told) == choices, task


def test_evals_leaderboard_runs_through_lm_eval(run_stage, artifact, tiny, tmp_path):
    """Own files under the leaderboard's names: the user's copies instead of the hub's data."""
    pytest.importorskip("lm_eval")
    import datasets

    from sampan.evals.lm_eval import STAGE

    rows = [{"q": f"{n} and", "options": ["abc", "the", "than"], "answer": n % 3} for n in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("team_allocation", "murder_mysteries"):
        (tmp_path / f"{name}.yaml").write_text(
            f"task: leaderboard_musr_{name}\ndataset_path: json\n"
            "dataset_kwargs: {data_files: {test: rows.jsonl}}\noutput_type: multiple_choice\ntest_split: test\n"
            'doc_to_text: "{{q}}"\ndoc_to_choice: "{{options}}"\ndoc_to_target: answer\n'
            "metric_list: [{metric: acc_norm}]\n"
        )
    before = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = tmp_path / "cache"
    folder = artifact(tmp_path, "external")
    given = {"models": [artifact(tiny, "checkpoint")], "task_files": [folder], "data": [folder]}
    names = ["leaderboard_musr_team_allocation", "leaderboard_musr_murder_mysteries"]
    try:
        out, _ = run_stage(STAGE, given, profile=PROFILE, tasks=names)
    finally:
        datasets.config.HF_DATASETS_CACHE = before
    told = {(s.task, s.metric): s.value for s in read_scores(out)}
    parts = [normalised(told[names[0], "acc_norm"], 3), normalised(told[names[1], "acc_norm"], 2)]
    assert told[PROFILE, "musr"] == told[PROFILE, LANGUAGE] == pytest.approx(sum(parts) / 2)
    assert (PROFILE, "bbh") not in told
    table = read_profile_table(out)
    assert table.profile == PROFILE
    (cells,) = table.cells.values()
    assert list(cells[4].not_run) == ["leaderboard_musr_object_placements"]
    with pytest.raises(RecipeError, match="no task 'leaderboard_ifeval'"):
        run_stage(STAGE, given, state="all", profile=PROFILE)  # the rest would come from the hub: `bundled`
