"""The ledger of gains and losses, the forgetting alarm, and the values of items on disk."""

from __future__ import annotations

import json
import random

import pytest

from sampan.artifacts.item_values import Asked, ItemValues, read_item_values, write_item_values
from sampan.artifacts.scores import Score, read_scores, write_scores
from sampan.core.errors import RecipeError, StageError
from sampan.evals.forgetting import STAGE, alarms
from sampan.evals.ledger import changes, settled
from sampan.evals.marks import share
from sampan.evals.run import STAGE as RUN


def score(model: str, right: list[float], task: str = "t", *, digest: str = "d", higher: bool = True) -> Score:
    mark = share("acc", right)
    return Score(
        model=model, model_digest=model, task=task, language="tha_Thai", metric="acc", value=mark.value,
        stderr=mark.stderr, n=mark.n, higher_is_better=higher, prompt_digest=digest, revision=1,
    )  # fmt: skip


def values(model: str, right: list[float], task: str = "t", digest: str = "d") -> ItemValues:
    return ItemValues(
        model=model, model_digest=model, task=task, language="tha_Thai", metric="acc", prompt_digest=digest,
        revision=1, values=right,
    )  # fmt: skip


def asked(count: int, task: str = "t", digest: str = "d", clusters: list[str] | None = None) -> Asked:
    return Asked(task, "tha_Thai", digest, [str(n) for n in range(count)], clusters or [], [])


BEFORE = [1.0] * 60 + [0.0] * 40
AFTER = [1.0] * 72 + [0.0] * 28


def test_evals_ledger_pairs_items():
    rows = [score("base", BEFORE), score("child", AFTER)]
    (pair,) = changes(rows, [asked(100)], [values("base", BEFORE), values("child", AFTER)], {"child": "base"})
    (alone,) = changes(rows, [], [], {"child": "base"})
    assert pair.gain == alone.gain == pytest.approx(0.12)
    assert (pair.paired, alone.paired) == (True, False)
    assert pair.sure  # 12 items won, none lost
    assert not alone.sure  # as two figures, 0.12 is within 1.8 errors
    assert pair.stderr == pytest.approx((0.12 * 0.88 / 99) ** 0.5)


def test_evals_ledger_clusters_are_fewer_witnesses():
    clusters = [str(n // 12) for n in range(100)]
    rows, each = [score("base", BEFORE), score("child", AFTER)], [values("base", BEFORE), values("child", AFTER)]
    (single,) = changes(rows, [asked(100)], each, {"child": "base"})
    (pair,) = changes(rows, [asked(100, clusters=clusters)], each, {"child": "base"})
    assert not pair.sure  # all twelve won items are of one passage
    assert pair.stderr > 3 * single.stderr


def test_evals_ledger_sign_follows_the_metric():
    rows = [score("base", BEFORE, higher=False), score("child", AFTER, higher=False)]
    (found,) = changes(rows, [], [], {"child": "base"})
    assert found.gain == pytest.approx(-0.12)


def test_evals_ledger_compares_only_equal_questions():
    rows = [score("base", BEFORE, digest="one"), score("child", AFTER, digest="two")]
    assert changes(rows, [], [], {"child": "base"}) == []
    assert changes(rows, [], [], {}) == []


def test_evals_ledger_keeps_false_discoveries_down():
    """A hundred scores that did not change: 5 of them have p < 0.05, and none may count as sure."""
    draw = random.Random(4)
    rows, each, questions = [], [], []
    for n in range(100):
        ease = [draw.random() for _ in range(80)]
        for model in ("base", "child"):
            right = [float(draw.random() < e) for e in ease]
            rows.append(score(model, right, f"t{n}"))
            each.append(values(model, right, f"t{n}"))
        questions.append(asked(80, f"t{n}"))
    found = changes(rows, questions, each, {"child": "base"})
    assert 1 <= sum(c.p_value < 0.05 for c in found) <= 12
    assert not any(c.sure for c in found)
    assert settled(found) == found


def artifact_of(folder, made, artifact, *models):
    folder.mkdir()
    write_scores(folder, [score(m, right, t) for m, t, right in made if m in models])
    each = [values(m, right, t) for m, t, right in made if m in models]
    write_item_values(folder, [asked(len(row.values), row.task) for row in each[:2]], each)
    return artifact(folder, "scores", folder.name)


@pytest.fixture
def two(tmp_path, artifact):
    made = [("base", "keep", AFTER), ("child", "keep", AFTER), ("base", "lose", AFTER), ("child", "lose", BEFORE)]
    return [artifact_of(tmp_path / model, made, artifact, model) for model in ("base", "child")]


def test_evals_forgetting_fails_the_run(two, run_stage):
    with pytest.raises(StageError, match=r"child lost 0\.12 ± 0\.033 of lose acc in tha_Thai"):
        run_stage(STAGE, {"scores": two}, parent="base", limits={"acc": 0.02})


def test_evals_forgetting_allows_what_is_within_the_limit(two, run_stage):
    out, metrics = run_stage(STAGE, {"scores": two}, parent="base", limits={"acc": 0.1})  # 0.12 is not surely > 0.1
    assert metrics == {"watched": 2, "alarms": 0, "worst": pytest.approx(-0.12)}
    assert read_scores(out) == []
    rows = [json.loads(line) for line in (out / "ledger.jsonl").read_text("utf-8").splitlines()]
    assert [(r["task"], r["watched"], r["alarm"], r["paired"]) for r in rows] == [
        ("keep", True, False, True),
        ("lose", True, False, True),
    ]


def test_evals_forgetting_can_only_tell(two, run_stage):
    _, metrics = run_stage(STAGE, {"scores": two}, parent="base", limits={"acc": 0.02}, on_alarm="tell")
    assert metrics["alarms"] == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"parent": "bsae"}, "Did you mean 'base'"),
        ({"parent": "base", "children": ["chidl"]}, "Did you mean 'child'"),
        ({"parent": "base", "limits": {"f1": 0.1}}, "no score of the parent"),
        ({"parent": "base", "languages": ["lao_Laoo"]}, "no score of the parent"),
    ],
)
def test_evals_forgetting_says_what_is_wrong(two, run_stage, given, says):
    with pytest.raises(RecipeError) as error:
        run_stage(STAGE, {"scores": two}, **given)
    assert says in str(error.value)


@pytest.mark.parametrize("given", [{"confidence": 1.0}, {"limits": {"acc": -1}}, {"limits": {}}])
def test_evals_forgetting_params_are_checked(given):
    with pytest.raises(ValueError, match="confidence|limits"):
        STAGE.params(parent="base", **given)


def test_evals_alarms_are_rare_where_nothing_is_forgotten():
    """Holm over ten scores whose loss is just the limit: at most 5 % of runs may raise any alarm."""
    draw, raised = random.Random(8), 0
    for _ in range(400):
        rows, each, questions = [], [], []
        for n in range(10):
            before = [draw.gauss(0, 1) for _ in range(60)]
            after = [x - 0.2 + draw.gauss(0, 1) for x in before]
            for model, right in (("base", before), ("child", after)):
                rows.append(Score(**{**SCORE, "model": model, "task": f"t{n}", "value": sum(right) / 60}))
                each.append(values(model, right, f"t{n}"))
            questions.append(asked(60, f"t{n}"))
        found = changes(rows, questions, each, {"child": "base"})
        raised += bool(alarms(found, {"acc": 0.2}, 0.95))
    assert raised / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5  # three standard errors of 400 trials


SCORE = {
    "model": "", "model_digest": "", "task": "", "language": "tha_Thai", "metric": "acc", "value": 0.0,
    "stderr": 0.1, "n": 60, "higher_is_better": True, "prompt_digest": "d", "revision": 1,
}  # fmt: skip


def test_evals_run_keeps_every_items_value(tiny, other, run_stage, artifact, tmp_path):
    items = tmp_path / "items.jsonl"
    rows = [
        {"id": f"q{n}", "task": "t", "type": "multiple_choice", "language": "eng_Latn", "prompt": f"a{n}",
         "choices": [" a", " b"], "answer": "0", "meta": {"cluster": str(n // 2)}}
        for n in range(6)
    ]  # fmt: skip
    items.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    models = [artifact(tiny, "checkpoint", "one"), artifact(other, "checkpoint", "two")]
    out, _ = run_stage(RUN, {"models": models, "items": [artifact(items, "external")]}, sample_prompts=0)
    questions, each = read_item_values(out)
    assert [row.ids for row in questions] == [[f"q{n}" for n in range(6)]]
    assert questions[0].clusters == ["0", "0", "1", "1", "2", "2"]
    scores = {(s.model, s.metric): s for s in read_scores(out)}
    assert {(row.model, row.metric) for row in each} == set(scores)
    for row in each:
        assert sum(row.values) / 6 == pytest.approx(scores[row.model, row.metric].value)
        assert row.prompt_digest == questions[0].prompt_digest == scores[row.model, row.metric].prompt_digest
    assert len(changes(scores.values(), questions, each, {"two": "one"})) == 2


def test_evals_item_values_of_older_scores_are_empty(tmp_path):
    write_scores(tmp_path, [])
    assert read_item_values(tmp_path) == ([], [])
