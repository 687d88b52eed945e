"""Scores with and without the items that were seen in training."""

from __future__ import annotations

import json

import pytest

from sampan.artifacts.findings import Finding, Findings, Searched, write_findings
from sampan.artifacts.item_values import Asked, ItemValues, write_item_values
from sampan.artifacts.items import Item, write_items
from sampan.artifacts.scores import Score, read_scores, write_scores
from sampan.core.errors import StageError
from sampan.evals.contamination import STAGE, contaminations
from sampan.evals.items import STAGE as ITEMS
from sampan.evals.run import STAGE as RUN

KEY = {"task": "quiz", "language": "tha_Thai", "prompt_digest": "p", "revision": 1, "model_digest": "d"}


def score(metric="acc", **more):
    return Score(model="m", metric=metric, value=0.5, stderr=None, n=4, higher_is_better=True, **{**KEY, **more})


def values(numbers, metric="acc"):
    return ItemValues(model="m", metric=metric, values=numbers, **KEY)


def finding(item, exact, corpus="web"):
    place = {"documents": 1, "document": "1", "text": "…"}
    return Finding(corpus=corpus, task="quiz", language="tha_Thai", item=item, exact=exact, **place)


def findings(*rows, ids=("a", "b", "c", "d")):
    return Findings(["web", "chats"], [Searched("quiz", "tha_Thai", list(ids))], rows)


ASKED = Asked("quiz", "tha_Thai", "p", ["a", "b", "c", "d"], [], [])


def test_evals_contamination_leaves_out_what_was_seen():
    found = findings(finding("a", True), finding("a", False, "chats"), finding("b", False), finding("z", True))
    (row,) = contaminations([score()], [ASKED], [values([1.0, 1.0, 0.0, 1.0])], [found])
    assert (row.n, row.searched, row.exact, row.overlapping, row.seen) == (4, 4, 1, 1, 2)
    assert row.value_without == 0.5
    assert row.stderr_without == pytest.approx(0.5)  # of 0 and 1: s/√n = 0.7071/√2


def test_evals_contamination_counts_by_corpus():
    found = findings(finding("a", True), finding("b", True, "chats"))
    rows = {
        name: contaminations([score()], [ASKED], [values([1.0, 0.0, 0.0, 0.0])], [found], {"m": {name}})[0]
        for name in ("web", "chats", "elsewhere")
    }
    assert [rows[name].seen for name in rows] == [1, 1, 0]
    assert [rows[name].value_without for name in ("web", "chats")] == [0, pytest.approx(1 / 3)]
    assert rows["elsewhere"].searched == 0  # nothing that this model read was searched


def test_evals_contamination_keeps_weights_clusters_and_gaps():
    asked = Asked("quiz", "tha_Thai", "p", ["a", "b", "c", "d"], ["x", "x", "y", "z"], [1.0, 2.0, 3.0, 1.0])
    (row,) = contaminations([score()], [asked], [values([1.0, 0.0, 1.0, None])], [findings(finding("a", True))])
    assert row.value_without == 3 / 5
    (row,) = contaminations([score()], [asked], [values([1.0] * 4)], [findings(*(finding(i, True) for i in "abcd"))])
    assert (row.value_without, row.stderr_without, row.exact) == (None, None, 4)


def test_evals_contamination_says_what_was_not_looked_for():
    other = score(language="lao_Laoo")
    (row,) = contaminations([other], [ASKED], [], [findings(finding("a", True))])
    assert (row.searched, row.seen, row.value_without) == (0, 0, None)
    (row,) = contaminations([score()], [ASKED], [values([1.0] * 4)], [findings(ids=["a", "b"])])
    assert (row.searched, row.seen, row.value_without) == (2, 0, 1)


@pytest.fixture
def given(tmp_path, artifact):
    scores, found = tmp_path / "scores", tmp_path / "found"
    scores.mkdir()
    found.mkdir()
    write_scores(scores, [score(), score(task="other", prompt_digest="q")])
    write_item_values(scores, [ASKED], [values([1.0, 1.0, 0.0, 0.0])])
    write_findings(found, findings(finding("a", True), finding("b", False)))
    return {"scores": [artifact(scores, "scores")], "findings": [artifact(found, "findings")]}


def test_evals_contamination_stage_writes_a_row_a_score(given, run_stage):
    out, metrics = run_stage(STAGE, given)
    rows = [json.loads(line) for line in (out / "contamination.jsonl").read_text("utf-8").splitlines()]
    assert [(row["task"], row["seen"], row["value"], row["value_without"]) for row in rows] == [
        ("quiz", 2, 0.5, 0),
        ("other", 0, 0.5, None),
    ]
    assert metrics == {"scores": 2, "checked": 1, "with_seen_items": 1, "largest_share": 0.5}
    assert read_scores(out) == []  # the scores themselves stay where they are


def test_evals_contamination_can_fail_a_run(given, run_stage):
    run_stage(STAGE, given, max_share=0.5)
    with pytest.raises(StageError, match="2 of 4 items of quiz in tha_Thai"):
        run_stage(STAGE, given, max_share=0.4)


def test_evals_items_go_by_the_names_that_scores_have(run_stage, artifact, tiny, tmp_path):
    """What evals.items writes and what evals.run asks join without a remainder, and are the same questions."""
    data = tmp_path / "data" / "xcopa"
    data.mkdir(parents=True)
    rows = [
        {"premise": "Tiada.", "choice1": "A b", "choice2": "Bc", "question": "effect", "label": n % 2, "idx": n}
        for n in range(3)
    ]
    (data / "id.test.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    folder = artifact(tmp_path / "data", "external")
    made, metrics = run_stage(ITEMS, {"data": [folder]}, tasks=["xcopa"])
    assert metrics["by_task"] == {"xcopa/ind_Latn": 3}
    models = [artifact(tiny, "checkpoint")]
    as_task, _ = run_stage(RUN, {"models": models, "data": [folder]}, state="a", tasks=["xcopa"])
    as_items, _ = run_stage(RUN, {"models": models, "items": [artifact(made, "items")]}, state="b")
    assert (as_task / "asked.jsonl").read_bytes() == (as_items / "asked.jsonl").read_bytes()
    assert (as_task / "item_values.jsonl").read_bytes() == (as_items / "item_values.jsonl").read_bytes()
    assert json.loads((as_task / "asked.jsonl").read_text())["ids"] == ["0", "1", "2"]


def test_evals_items_of_ones_own_are_named_alike(tmp_path):
    item = Item("", "mine", "generate", "eng_Latn", "why?", [], "x")
    assert len(item.key) == 16
    assert Item("7", "mine", "generate", "eng_Latn", "why?", [], "x").key == "7"
    (tmp_path / "items").mkdir()
    write_items(tmp_path / "items", [item])
