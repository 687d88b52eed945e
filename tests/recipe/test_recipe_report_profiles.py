"""The report's tables of published suites: competency × language, and what was not run."""

from __future__ import annotations

from sampan.artifacts.profile_table import LANGUAGE, OVERALL, Cell, ProfileTable, write_profile_table
from sampan.artifacts.scores import Score, write_scores
from sampan.recipe.report import ReportData, StageView, render
from sampan.recipe.report.collect import StageSource, collect
from sampan.recipe.report.profiles import section
from sampan.recipe.report.scoreboard import boards


def cell(language: str, competency: str, value: float | None, ran=("a",), not_run=None) -> Cell:
    error = None if value is None else 1.5
    return Cell(
        language=language, competency=competency, value=value, stderr=error, n=9, ran=list(ran), not_run=not_run or {}
    )


CELLS = [
    cell("tha_Thai", "nlu", 41.25),
    cell("tha_Thai", "multi-turn", None, (), {"mt-bench": "needs a judge"}),
    cell("tha_Thai", LANGUAGE, 41.25, ("a",), {"mt-bench": "needs a judge"}),
    cell("ind_Latn", "nlu", 55.0),
    cell("ind_Latn", LANGUAGE, 55.0),
    cell("", OVERALL, 48.125, ("a", "b"), {"tha_Thai/mt-bench": "needs a judge"}),
]
TABLE = ProfileTable(profile="sea_helm_v1", suite="seahelm", digests={"sft": "d"}, cells={"sft": CELLS})
DATA = ReportData(
    recipe="r",
    languages=("ind_Latn", "tha_Thai"),
    language_names={"tha_Thai": "Thai", "ind_Latn": "Indonesian"},
    stages=(StageView(name="sft", kind="checkpoint"),),
    scores=tuple(
        Score(model="sft", model_digest="d", task="sea_helm_v1", language=c.language, metric=c.competency,
              value=c.value, stderr=1.5, n=9, higher_is_better=True, prompt_digest="p", revision=1)
        for c in CELLS if c.value is not None
    ),
    profiles=(TABLE,),
)  # fmt: skip


def test_report_profile_table_shows_numbers_coverage_and_reasons():
    text = str(section(DATA))
    assert text.index("Indonesian") < text.index("Thai") < text.index("Overall")
    assert "41.25 ± 1.5" in text
    assert "48.12" in text
    assert "not run" in text
    assert "0 of 1 tasks" in text
    assert "1 of 2 tasks" in text
    assert "needs a judge: mt-bench (Thai)" in text
    assert section(ReportData(recipe="r")) is None


def test_report_scoreboard_leaves_competencies_to_their_table():
    assert {board.metric for board in boards(DATA)} == {LANGUAGE, OVERALL}
    page = render(DATA)
    assert "Published suites" in page
    assert page.count("41.25") >= 2  # in the suite's table and on the scoreboard


def test_report_collects_profile_tables_under_this_recipes_names(tmp_path):
    write_scores(tmp_path, [])
    write_profile_table(tmp_path, TABLE)
    stages = [
        StageSource(name="tuned", kind="checkpoint", digest="d"),
        StageSource(name="suite", stage="evals.sea_helm", kind="scores", path=tmp_path),
    ]
    (table,) = collect(recipe="r", stages=stages).profiles
    assert list(table.cells) == ["tuned"]
    assert table.cells["tuned"][0] == CELLS[0]
