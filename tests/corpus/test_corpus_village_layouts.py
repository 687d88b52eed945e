"""The village's questions in published layouts are what the readers of those layouts read."""

from __future__ import annotations

import json

import pytest

from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.corpus.village.stage import STAGE

ROWS = 3


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """The folder of a part, made once."""
    made = {}

    def make(part):
        if part not in made:
            made[part] = tmp_path_factory.mktemp(part)
            params = STAGE.params(part=part, num_rows=ROWS)
            STAGE.run(params, Inputs({}), Runtime(out=made[part], state=made[part]))
        return made[part]

    return make


def test_the_bundled_tasks_find_their_files(layout):
    from sampan.evals.task_items import task_groups

    names = ["m3exam", "vmlu", "flores", "xquad", "xlsum", "gsm8k", "math", "mgsm"]
    groups = task_groups(names, layout("task_files"))
    assert {group.task.partition("_from_")[0] for group in groups} == set(names)
    assert all(len(group.items) == ROWS and not group.left_out for group in groups)
    (exam,) = (group for group in groups if (group.task, group.language) == ("m3exam", "tha_Thai"))
    assert exam.items[0].prompt.count("คำตอบ:") == 4, "three solved examples and the question"
    (sums,) = (group for group in groups if (group.task, group.language) == ("mgsm", "tha_Thai"))
    english = [item.answer for group in groups if group.task == "gsm8k" for item in group.items]
    assert [item.answer for item in sums.items] == english, "the same sums in every language"


def test_the_copy_of_sea_helm_is_one(layout):
    from sampan.evals.helm.marks import mark_task
    from sampan.evals.helm.prompts import chosen_examples, conversation
    from sampan.evals.helm.rows import eval_rows, example_rows
    from sampan.evals.helm.tasks import V1, suite_tasks

    home = layout("sea_helm")
    tasks = suite_tasks(home, V1, "seahelm")
    assert {task.language for task in tasks} == {"ind_Latn", "vie_Latn", "tha_Thai", "tam_Taml"}
    for task in tasks:
        if not task.kind:
            assert task.metric == "weighted_win_rate"
            continue
        rows, examples = eval_rows(task, home, None), example_rows(task, home, None)
        assert (len(rows), len(examples)) == (ROWS, 5)
        (asked,) = conversation(task, V1, rows[0], chosen_examples(task, examples, 2))
        assert all(example["label"] in asked["content"] for example in examples[:2])
        tag = task.template["fewshot_example"].split("\n")[1].removesuffix(" {label}")
        right = mark_task(task, V1, rows, [f"{tag} {row['label']}" for row in rows])
        if mark := right.entering(task.metric):
            assert mark.value == pytest.approx(100), "the gold answers, with their tag, are right"


def test_lm_eval_takes_the_tasks(layout, monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    pytest.importorskip("lm_eval")
    from sampan.evals.lm_eval_tasks import load_tasks, task_manager

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    home = layout("harness_tasks")
    manager = task_manager(["mmlu", "leaderboard_mmlu_pro"], home, bundled=False)
    task = load_tasks(manager, "mmlu", home)["tasks"]["mmlu"]
    rows = list(task.test_docs())
    assert len(rows) == ROWS
    assert task.doc_to_choice(rows[0])[task.doc_to_target(rows[0])] == rows[0]["options"][rows[0]["right"]]


def test_the_judge_has_a_sentence_for_everything(layout):
    from sampan.evals.judging.benchmark import load_benchmark, load_templates

    home = layout("judge_prompts")
    given = Artifact(path=home, kind="files", digest="0", name="judge_prompts")
    for name in ("mt_bench", "sea_bench", "sea_mtbench"):
        benchmark = load_benchmark(name)
        assert load_templates(benchmark, given).keys() == benchmark.prompts.keys()


def test_layouts_are_the_same_bytes_again(layout, tmp_path):
    params = STAGE.params(part="task_files", num_rows=ROWS)
    STAGE.run(params, Inputs({}), Runtime(out=tmp_path, state=tmp_path))
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert file.read_bytes() == (layout("task_files") / file.relative_to(tmp_path)).read_bytes()
    assert json.loads((tmp_path / "math" / "test.jsonl").read_text().splitlines()[0])["solution"].startswith("\\boxed{")
