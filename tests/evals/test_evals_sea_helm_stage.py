"""The stage `evals.sea_helm` on a small repository of the official shape."""

from __future__ import annotations

import dataclasses
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import sea_helm_cases
from sea_helm_repository import write_repository

from sampan.artifacts.item_values import read_item_values
from sampan.artifacts.profile_table import read_profile_table
from sampan.artifacts.scores import Score, read_samples, read_scores, write_scores
from sampan.core.errors import InputError, RecipeError
from sampan.core.params import parse_params
from sampan.core.spread import Spread
from sampan.core.stage import Inputs, Runtime
from sampan.evals.helm.answers import base_end
from sampan.evals.helm.rows import eval_rows, example_rows
from sampan.evals.helm.tables import class_tables
from sampan.evals.helm.tasks import V1, V12, SeaTask, suite_tasks
from sampan.evals.sea_helm import STAGE, Params

PROFILES = {V1: sea_helm_cases.V1, V12: sea_helm_cases.V12}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Folder by profile."""
    return {
        profile: write_repository(tmp_path_factory.mktemp(profile), version, every=70)
        for profile, version in PROFILES.items()
    }


@pytest.fixture
def given(tiny, repository, artifact):
    def made(profile=V1, **more):
        return {
            "models": [artifact(tiny, "checkpoint")],
            "sea_helm": [artifact(repository[profile], "external")],
            **more,
        }

    return made


def table(folder):
    cells = read_profile_table(folder).cells
    return {name: {(c.language, c.competency): dataclasses.asdict(c) for c in rows} for name, rows in cells.items()}


@pytest.mark.parametrize("profile", list(PROFILES))
def test_evals_sea_helm_stage_scores_totals_and_coverage(run_stage, given, profile):
    params = {"profile": profile, "languages": ["id"], "max_items": 2}
    out, metrics = run_stage(STAGE, given(profile), **params)
    scores = {(s.task, s.metric): s for s in read_scores(out) if s.language == "ind_Latn"}
    cells = table(out)["tiny"]
    total = cells["ind_Latn", "language_score"]
    assert scores[profile, "language_score"].value == total["value"]
    assert scores[f"{profile}_sentiment", "normalized_accuracy"].n == 2
    assert 0 <= scores[f"{profile}_if-eval", "overall_lang_normalized_acc"].value <= 100
    # translations were answered and shown, but without MetricX they are in no total
    assert (f"{profile}_translation-en-xx", "chrf_score") in scores
    assert "translation-en-xx" in cells["ind_Latn", "nlg"]["not_run"]
    assert cells["ind_Latn", "nlg"]["ran"] == ["abssum"]
    assert cells["ind_Latn", "linguistic-diagnostics"]["ran"] == ["mp-r", "pragmatic-pair", "pragmatic-single"]
    if profile == V1:
        judged = cells["ind_Latn", "multi-turn"]
        assert judged["value"] is None
        assert "MTBenchMetric" in judged["not_run"]["mt-bench"]
        assert (V1, "multi-turn") not in scores  # not run is no zero
    means = [c["value"] for (code, name), c in cells.items() if code and name != "language_score"]
    known = [value for value in means if value is not None]
    assert total["value"] == pytest.approx(sum(known) / len(known))
    assert metrics["coverage"]["tiny"] == [len(total["ran"]), len(total["ran"]) + len(total["not_run"])]
    samples = read_samples(out)
    assert {"extracted", "prompt", "output", "expected"} <= set(samples[0])
    asked, values = read_item_values(out)
    assert {row.task for row in asked} >= {f"{profile}_qa", f"{profile}_if-eval"}
    assert all(len(row.values) == 2 for row in values)


def test_evals_sea_helm_stage_is_the_same_twice_and_reuses_answers(run_stage, given, artifact):
    params = {"languages": ["th"], "tasks": ["sentiment", "causal", "translation-en-xx"], "max_items": 2}
    first, _ = run_stage(STAGE, given(), state="a", **params)
    again, _ = run_stage(STAGE, given(), state="b", **params)
    for name in ("scores.jsonl", "answers.jsonl", "profile.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    metricx = first.parent / "metricx.jsonl"
    row = {"model": "tiny", "task": "translation-en-xx", "language": "th", "scores": [5, 30]}
    metricx.write_text(json.dumps(row) + "\n")
    more = {"answers": [artifact(first, "scores")], "metricx": [artifact(metricx, "external")]}
    with_scores, _ = run_stage(STAGE, given(**more), state="c", **params)
    assert (with_scores / "answers.jsonl").read_bytes() == (first / "answers.jsonl").read_bytes()
    # (25 - 5) / 25 and nothing for a score beyond the scale, on average
    assert table(with_scores)["tiny"]["tha_Thai", "nlg"]["value"] == pytest.approx(40)
    before, after = (
        {s.prompt_digest for s in read_scores(out) if (s.task, s.metric) == (V1, "overall")}
        for out in (first, with_scores)
    )
    assert before != after  # totals of different parts are not compared
    metricx.write_text(json.dumps(row | {"scores": [5]}) + "\n")
    with pytest.raises(InputError, match="1 MetricX scores for 2 answers"):
        run_stage(STAGE, given(**more), state="d", **params)


def test_evals_sea_helm_finished_tasks_are_not_asked_again(run_stage, given, monkeypatch):
    from sampan.evals.helm import run

    params = {"languages": ["th"], "max_items": 1}
    answer = run.answer_task
    asked = []

    def killed(model, tokenizer, task, *rest, **more):
        asked.append(task.name)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return answer(model, tokenizer, task, *rest, **more)

    monkeypatch.setattr(run, "answer_task", killed)
    with pytest.raises(KeyboardInterrupt):
        run_stage(STAGE, given(), state="killed", **params)
    resumed, _ = run_stage(STAGE, given(), state="killed", **params)
    assert asked[2] == asked[3]
    assert len(asked) == len(set(asked)) + 1
    whole, _ = run_stage(STAGE, given(), state="whole", **params)
    for name in ("scores.jsonl", "answers.jsonl", "profile.json"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes()


def test_evals_sea_helm_processes_write_what_one_does(given, tmp_path, monkeypatch, one_loads_at_a_time):
    """Threads stand for processes: each task is answered once, by one of them or by both, and all write the same."""
    from sampan.evals.helm import run

    params = parse_params(STAGE.params, {"languages": ["th"], "max_items": 3}, where="test")
    answer, begun = run.answer_task, []

    def one(number: int, processes: int) -> dict[str, bytes]:
        folder = tmp_path / f"{processes}-{number}"
        folder.mkdir()
        runtime = Runtime(out=folder, state=tmp_path / f"state-{processes}", spread=Spread(processes=processes))
        STAGE.run(params, Inputs(given()), runtime)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    alone = one(0, 1)
    monkeypatch.setattr(run, "answer_task", lambda *a, **how: begun.append(a[2].name) or answer(*a, **how))
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(one, (0, 1), (2, 2))) == [alone, alone]
    pieces = list((tmp_path / "state-2" / "pieces").glob("*.json"))
    assert len(pieces) == len(set(begun)) > 1


def test_evals_sea_helm_takes_judged_scores_and_judgements(run_stage, given, artifact, tmp_path):
    case = next(c for c in sea_helm_cases.cases("1.0") if c["task"] == "mt-bench" and c["language"] == "id")
    said = tmp_path / "said.jsonl"
    rows = [{**row, "model": "tiny", "task": "mt-bench", "language": "id"} for row in case["rows"]]
    said.write_text("\n".join(map(json.dumps, rows)))
    params = {"languages": ["id"], "tasks": ["sentiment", "mt-bench"], "max_items": 1}
    out, _ = run_stage(STAGE, given(judgements=[artifact(said, "external")]), state="a", **params)
    rate = table(out)["tiny"]["ind_Latn", "multi-turn"]["value"]
    assert 30 < rate < 70
    folder = tmp_path / "judged"
    folder.mkdir()
    score = Score(
        model="tiny", model_digest="", task="my_bench", language="ind_Latn", metric="win", value=61.5, stderr=2.0, n=58,
        higher_is_better=True, prompt_digest="", revision=1,
    )  # fmt: skip
    write_scores(folder, [score])
    more = given(judged=[artifact(folder, "scores")])
    out, _ = run_stage(STAGE, more, state="b", judged_as={"mt-bench": "my_bench/win"}, **params)
    cell = table(out)["tiny"]["ind_Latn", "multi-turn"]
    assert (cell["value"], cell["stderr"], cell["n"], cell["not_run"]) == (61.5, 2.0, 58, {})
    # our own judge's shares are found without being told
    write_scores(
        folder, [dataclasses.replace(score, task="sea_mtbench", metric="weighted_win_rate", value=0.5, stderr=0.02)]
    )
    out, _ = run_stage(STAGE, more, state="ours", **params)
    cell = table(out)["tiny"]["ind_Latn", "multi-turn"]
    assert (cell["value"], cell["stderr"]) == (50.0, 2.0)
    said.write_text(json.dumps({key: value for key, value in rows[0].items() if key != "turn"}))
    with pytest.raises(InputError, match="no 'turn'"):
        run_stage(STAGE, given(judgements=[artifact(said, "external")]), state="c", **params)


@pytest.mark.parametrize("profile", list(PROFILES))
def test_evals_sea_helm_base_models(run_stage, given, profile):
    params = {"profile": profile, "languages": ["tl"], "base_model": True, "max_items": 1}
    out, _ = run_stage(STAGE, given(profile), **params)
    shown = {row["task"]: row["prompt"] for row in read_samples(out)}
    assert shown[f"{profile}_sentiment"].count("label ") == 5  # five solved examples
    missing = table(out)["tiny"]["tgl_Latn", "language_score"]["not_run"]
    assert missing["kalahi-mc"] == "base models are not asked this"
    assert ("if-eval" in missing) == (profile == V12)


def test_evals_sea_helm_base_answers_end_at_an_empty_line():
    task = SeaTask(name="", language="", code="", competency="", metric="", kind="label", needs="", tag="Sagot:")
    assert base_end("a\n\nb", task, V1) == 1
    assert base_end("a\nb", task, V1) == -1
    assert base_end("a\n\nb", task, V12) == -1
    assert base_end("a\n\nSagot: b\n\nc", task, V12) == 11


def test_evals_sea_helm_clear_errors(run_stage, given, artifact, tmp_path, repository, tiny):
    with pytest.raises(RecipeError, match="no suite 'seahelms'.*seahelm"):
        run_stage(STAGE, given(), state="a", suite="seahelms")
    with pytest.raises(RecipeError, match="no 'lao_Laoo'"):
        run_stage(STAGE, given(), state="b", languages=["lo"])
    with pytest.raises(RecipeError, match="Did you mean 'sentiment'"):
        run_stage(STAGE, given(), state="c", tasks=["sentimnt"])
    with pytest.raises(InputError, match="not of the version"):
        run_stage(STAGE, given(), state="d", profile=V12)
    with pytest.raises(InputError, match="no copy of SEA-HELM"):
        run_stage(STAGE, given() | {"sea_helm": [artifact(tmp_path, "external")]}, state="e")
    with pytest.raises(RecipeError, match="nothing of the suite can be asked"):
        run_stage(STAGE, given(), state="f", languages=["id"], tasks=["mt-bench"])
    bare = tmp_path / "bare"
    shutil.copytree(tiny, bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="no chat template"):
        run_stage(STAGE, given() | {"models": [artifact(bare, "checkpoint")]}, state="g", languages=["th"])
    with pytest.raises(ValueError, match="TASK/METRIC"):
        Params(judged_as={"mt-bench": "win_rate"})
    copy = tmp_path / "copy"
    shutil.copytree(repository[V1], copy)
    rows = copy / "seahelm_tasks/sentiment/data/th.jsonl"
    lines = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    tasks = {"languages": ["th"], "tasks": ["sentiment"]}
    for column, change, says in (
        ("label", lambda row: row.pop("label"), "no `label`"),
        ("key", lambda row: row.update(label="fine"), "'fine' is none of the task's"),
        ("prompts", lambda row: row.update(prompts=[{"words": "x"}]), "asks for 'text'"),
    ):
        changed = [json.loads(json.dumps(line)) for line in lines]
        change(changed[0])
        rows.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in changed), "utf-8")
        with pytest.raises(InputError, match=says):
            run_stage(STAGE, given() | {"sea_helm": [artifact(copy, "external")]}, state=column, **tasks)


def test_evals_sea_helm_reads_tables_without_running(tmp_path):
    file = tmp_path / "metric.py"
    file.write_text(
        "import nothing_that_exists\nclass M:\n    def __init__(self, lang):\n"
        "        self.label_map = {'id': {'a': 1}}[lang]\n        self.made = {'id': print}[lang]\n"
    )
    assert class_tables(file, "M") == {"label_map": {"id": {"a": 1}}}
    with pytest.raises(InputError, match="no class 'N'"):
        class_tables(file, "N")
    file.write_text("class M(")
    with pytest.raises(InputError, match="cannot be read"):
        class_tables(file, "M")


def test_evals_sea_helm_1_2_finds_rows_in_copies_of_hub_data_sets(repository, tmp_path):
    task = next(t for t in suite_tasks(repository[V12], V12, "seahelm") if (t.name, t.code) == ("qa", "id"))
    hub = dataclasses.replace(task, rows="org/Set", examples="org/Set")
    row = {"label": ["x", "y"], "prompts": [{"text": "t"}]}
    for split in ("eval", "examples"):
        file = tmp_path / "Set" / "id" / f"{split}-00000.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(row | {"split": split}))
    assert [r["split"] for r in eval_rows(hub, repository[V12], tmp_path)] == ["eval"]
    assert [(r["split"], r["label"]) for r in example_rows(hub, repository[V12], tmp_path)] == [("examples", "x")]
    assert eval_rows(hub, repository[V12], None) is None
    said = tmp_path / "other" / "org" / "Set"
    said.mkdir(parents=True)
    (said / "z.jsonl").write_text(json.dumps(row | {"split": "by readme"}))
    head = "configs:\n- config_name: id\n  data_files:\n  - split: eval\n    path: z.jsonl\n"
    (said / "README.md").write_text(f"---\n{head}---\nwords")
    assert [r["split"] for r in eval_rows(hub, repository[V12], tmp_path / "other")] == ["by readme"]
    other = dataclasses.replace(hub, label="prompt_label")
    with pytest.raises(InputError, match="no `prompt_label`"):
        eval_rows(other, repository[V12], tmp_path)
    assert eval_rows(dataclasses.replace(hub, rows="org/None"), repository[V12], tmp_path) is None
