"""The page's ledger: what a step taught and forgot, with how it was compared."""

from __future__ import annotations

from dataclasses import replace

from recipe_report_example import example

from sampan.artifacts.item_values import Asked, ItemValues
from sampan.artifacts.scores import Score
from sampan.recipe.report import ReportData, StageView, render
from sampan.recipe.report.ledger import entries, section


def lineage(before: list[float], after: list[float]) -> ReportData:
    shared = {"model_digest": "", "task": "skill", "language": "tha_Thai", "metric": "acc", "prompt_digest": "d"}
    rows = {"base": before, "child": after}
    return ReportData(
        recipe="r",
        languages=("tha_Thai",),
        language_names={"tha_Thai": "Thai"},
        stages=(
            StageView(name="base", kind="checkpoint"),
            StageView(name="child", stage="train.sft", kind="checkpoint", inputs={"model": ("base",)}),
        ),
        scores=tuple(
            Score(model=name, value=sum(row) / len(row), stderr=0.05, n=len(row), higher_is_better=True, revision=1,
                  **shared)
            for name, row in rows.items()
        ),
        asked=(Asked("skill", "tha_Thai", "d", [str(n) for n in range(len(before))], [], []),),
        item_values=tuple(ItemValues(model=name, values=row, revision=1, **shared) for name, row in rows.items()),
    )  # fmt: skip


def test_report_ledger_shows_a_sure_loss():
    data = lineage([1.0] * 80 + [0.0] * 20, [1.0] * 50 + [0.0] * 50)
    (change,) = entries(data)
    assert (change.parent, change.child, change.paired, change.sure) == ("base", "child", True, True)
    text = str(section(data))
    assert "base → child" in text
    assert "0 surely gained, 1 surely lost, 0 within the error." in text
    assert "▼ −0.3" in text
    assert "same items" in text


def test_report_ledger_passes_over_a_model_that_has_other_scores_only():
    """A grown vocabulary is measured in tokens, so the step after it is compared with the model before it."""
    data = lineage([1.0] * 80 + [0.0] * 20, [1.0] * 50 + [0.0] * 50)
    grown = StageView(name="grown", stage="vocab.expand", kind="checkpoint", inputs={"model": ("base",)})
    child = replace(data.stages[1], inputs={"model": ("grown",)})
    tokens = [replace(data.scores[0], model=name, task="tokenizer", metric="tokens") for name in ("base", "grown")]
    data = replace(data, stages=(data.stages[0], grown, child), scores=(*data.scores, *tokens))
    assert [(change.parent, change.child) for change in entries(data)] == [("base", "child"), ("base", "grown")]
    text = str(section(data))
    assert text.index("base → grown") < text.index("base → child")


def test_report_ledger_without_a_sure_change_is_a_table():
    text = str(section(lineage([1.0, 0.0] * 20, [1.0, 0.0] * 19 + [0.0, 1.0])))
    assert "0 surely gained, 0 surely lost, 1 within the error." in text
    assert "<svg" not in text


def test_report_ledger_is_left_out_without_a_pair():
    data = lineage([1.0, 0.0], [1.0, 1.0])
    assert section(replace(data, scores=data.scores[:1])) is None


def test_report_ledger_of_old_scores_compares_figures():
    data = example()
    assert entries(data)
    assert not any(change.paired for change in entries(data))
    assert "two figures" in render(data)


def test_report_shows_published_figures_of_a_model_by_name():
    data = lineage([1.0, 0.0], [1.0, 1.0])
    assert "Published figures" not in render(data)
    named = replace(data.scores[0], model="seallm-7b-v2.5", task="gsm8k", language="eng_Latn", metric="exact_match")
    page = render(replace(data, scores=(named,), stages=(StageView(name="seallm-7b-v2.5", kind="checkpoint"),)))
    assert "Published figures" in page
    assert "78.5" in page
    assert "50 (n = 2)" in page
