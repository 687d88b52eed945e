"""The report's section about judged answers: tables, coverage, and how the judge leans."""

from __future__ import annotations

import json

import pytest

from sampan.artifacts.scores import Score, write_scores
from sampan.recipe.report import render
from sampan.recipe.report.collect import StageSource, collect


def row(category: str, language: str, value: float | None, n: int, of: int = 4) -> dict:
    stderr = None if value is None else 0.25
    return {
        "model": "sft",
        "category": category,
        "language": language,
        "value": value,
        "stderr": stderr,
        "n": n,
        "of": of,
    }


LEANING = {"pairs": 5, "flips": 2, "flip_rate": 0.4, "verdicts": 8, "first_rate": 0.625, "first_stderr": 0.124}
JUDGED = {
    "benchmark": "sea_bench",
    "paper": "SeaLLMs",
    "judge": "<some judge>",
    "opponent": "chatgpt",
    "failures": "left_out",
    "headlines": ["score"],
    "tables": [
        {
            "metric": "score",
            "scale": [0, 10],
            "rows": [
                row("Safety", "tha_Thai", 7.25, 4), row("Math", "tha_Thai", None, 0), row("", "tha_Thai", 7.25, 4, 8),
            ],
        },
        {"metric": "score_turn_1", "scale": [0, 10], "rows": [row("", "tha_Thai", 6.5, 4)]},
    ],
    "coverage": [
        {"way": "single", "model": "sft", "language": "tha_Thai", "turns": 8, "judged": 4,
         "failed_verdicts": {"malformed": 3, "outage": 1}},
    ],
    "leaning": {"all": LEANING},
    "answers": [
        {"model": "sft", "turns": 7, "of": 8, "empty": 2, "loops": 1, "cut_prompts": 0, "failed": {"outage": 1}},
    ],
    "without_reference": 0,
}  # fmt: skip


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "judged"
    folder.mkdir()
    fixed = {"model": "sft", "model_digest": "d", "language": "tha_Thai", "value": 7.25, "stderr": 0.25, "n": 4}
    fixed |= {"higher_is_better": True, "prompt_digest": "p", "revision": 1}
    names = [("sea_bench", "score"), ("sea_bench", "score_turn_1"), ("sea_bench_safety", "score")]
    told = {"model": "sft", "task": "sea_bench", "language": "tha_Thai", "prompt": "q", "output": "a", "expected": ""}
    scores = [Score(task=task, metric=metric, **fixed) for task, metric in names]
    write_scores(folder, scores, [{**told, "judged": "Turn 1: 7 <b>because</b>"}])
    (folder / "judged.json").write_text(json.dumps(JUDGED), encoding="utf-8")
    (folder / "score_by_category.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    stage = StageSource(name="chats", stage="evals.judge", kind="scores", path=folder, status="hit")
    return collect(recipe="r", languages=["tha_Thai"], language_names={"tha_Thai": "Thai"}, stages=[stage])


def test_recipe_report_judged_section_tells_means_coverage_and_bias(data):
    page = render(data)
    section = page[page.index('id="judged"') : page.index('id="answers"')]
    for said in (
        "Judge: &lt;some judge&gt;, compared with chatgpt",
        "<td class=\"num\">7.25<small> ± 0.25 n = 4</small></td>",
        "7.25<small> ± 0.25 4 of 8</small>",  # half of the verdicts came
        "no verdict<small>0 of 4</small>",  # never a zero
        "4 of 8 (50 %)",
        "malformed 3, outage 1",
        "40 % of 5",
        "0.625 ± 0.12",
        "sft: 7 of 8 turns answered, 2 empty, 1 going in a circle, 0 prompts cut to fit the window, outage 1",
        "data:image/svg+xml;base64",
        "6.5",
    ):  # fmt: skip
        assert said in section, said
    assert "Turn 1: 7 &lt;b&gt;because&lt;/b&gt;" in page


def test_recipe_report_judged_categories_stand_in_their_own_section_only(data):
    assert [(score.task, score.metric) for score in data.scores] == [("sea_bench", "score")]
