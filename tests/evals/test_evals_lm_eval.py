"""Tasks of lm-evaluation-harness on our backend: the same answers as its own `hf` backend, and clear errors."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from sampan.artifacts.scores import read_records, read_samples, read_scores
from sampan.core.errors import InputError, RecipeError, StageError
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.evals.lm_eval import STAGE

pytest.importorskip("lm_eval")
TASKS = Path(__file__).resolve().parents[2] / "benchmarks" / "lm_eval_tasks"
NAMES = ("xcopa_id", "xcopa_th", "belebele_jav_Latn", "mgsm_en", "mgsm_th", "xquad_vi", "gsm8k_local", "ifeval_some")
SAME = 1e-4  # float32 sums over some hundred tokens whose matmuls have other shapes

ROWS = [{"q": f"{a} and {b}", "good": "abc", "bad": "the than that"[: 3 + a], "n": str(a + b)}
        for a in range(4) for b in range(3)]  # fmt: skip
CHOOSE = """
task: choose_tha_Thai
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
output_type: multiple_choice
test_split: test
fewshot_split: test
num_fewshot: 2
fewshot_config: {sampler: first_n}
doc_to_text: "a: {{q}} b:"
doc_to_choice: "{{[good, bad]}}"
doc_to_target: 0
metric_list: [{metric: acc}]
metadata: {version: 2.0}
"""
COUNT = """
task: count
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
output_type: generate_until
test_split: test
doc_to_text: "{{q}}"
doc_to_target: "{{n}}"
generation_kwargs: {until: ["b"], max_gen_toks: 12}
metric_list: [{metric: exact_match}]
"""
ROLL = """
task: roll
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{q}} {{bad}} {{good}}"
metric_list: [{metric: bits_per_byte}]
"""


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    import datasets

    before = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets")
    yield
    datasets.config.HF_DATASETS_CACHE = before


@pytest.fixture(scope="module")
def own_tasks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    for name, text in (("choose", CHOOSE), ("count", COUNT), ("roll", ROLL)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return folder


@pytest.fixture
def given(own_tasks, artifact, tiny):
    folder = artifact(own_tasks, "external")
    return {"models": [artifact(tiny, "checkpoint")], "task_files": [folder], "data": [folder]}


def asked(lm, names, folder, data, **settings):
    """What lm-eval logs per task when `lm` answers."""
    from sampan.evals.lm_eval_run import ask
    from sampan.evals.lm_eval_tasks import load_tasks, task_manager

    manager = task_manager(names, folder, bundled=False)
    params = STAGE.params(tasks=names, bootstrap_iters=0, **settings)
    out = {}
    for name in names:
        found = ask(lm, load_tasks(manager, name, data), params)
        out[name] = (found["results"][name], found["samples"][name])
    return out


def both(folder: Path, **settings):
    """Our backend and lm-eval's on one checkpoint."""
    from lm_eval.models.huggingface import HFLM

    from sampan.evals.lm_eval_backend import SampanLM
    from sampan.model.checkpoint import load_model
    from sampan.model.tokenizer import load_tokenizer

    ours = SampanLM(load_model(folder), load_tokenizer(folder), batch_size=5, batch_tokens=700)
    return ours, HFLM(pretrained=str(folder), dtype="float32", device="cpu", batch_size=4, **settings)


def assert_same(ours, theirs) -> None:
    assert ours.keys() == theirs.keys()
    for task, (values, samples) in ours.items():
        their_values, their_samples = theirs[task]
        for key, value in values.items():
            if isinstance(value, float):
                assert math.isclose(value, their_values[key], abs_tol=SAME if "bits" in key else 0), (task, key)
        for mine, other in zip(samples, their_samples, strict=True):
            assert mine["arguments"] == other["arguments"]
            assert {name: mine[name] for name in mine["metrics"] if "bits" not in name} == {
                name: other[name] for name in other["metrics"] if "bits" not in name
            }
            for response, other_response in zip(mine["resps"], other["resps"], strict=True):
                if isinstance(response[0], str):
                    assert response == other_response
                elif isinstance(response[0], float):
                    assert response[0] == pytest.approx(other_response[0], abs=SAME)
                else:
                    assert response[0][0] == pytest.approx(other_response[0][0], abs=SAME)
                    assert response[0][1] == other_response[0][1]


@pytest.mark.parametrize("chat", [False, True])
def test_own_tasks_score_as_with_the_hf_backend(own_tasks, tiny, chat):
    names = ["choose_tha_Thai", "count", "roll"]
    settings = {"apply_chat_template": chat, "system_instruction": "a" if chat else ""}
    ours, theirs = (asked(lm, names, own_tasks, own_tasks, **settings) for lm in both(tiny))
    assert_same(ours, theirs)


@pytest.mark.shared
@pytest.mark.parametrize("which", ["stories260K", "random"])
def test_published_tasks_score_as_with_the_hf_backend(shared, tmp_path, make_tiny, which):
    """XCOPA, Belebele, MGSM, XQuAD, GSM8K and IFEval's prompts: equal item by item, log-likelihoods within 1e-4."""
    folder = tmp_path / "out"
    if which == "random":
        make_tiny(folder, context_len=800)
    else:
        from sampan.model.adopt import STAGE as IMPORT

        (tmp_path / "out").mkdir()
        source = Artifact(path=shared / "data/models/stories260K", kind="external", digest="", name="files")
        IMPORT.run(IMPORT.params(), Inputs({"files": [source]}), Runtime(out=folder, state=tmp_path / "state"))
    settings = {"limit": 12, "gen_kwargs": {"max_gen_toks": 24}}
    # In float32, as it sums by itself, lm-eval cannot tell 2,500 nats from 2,500.0002.
    lms = both(folder, softmax_dtype="float64")
    ours, theirs = (asked(lm, list(NAMES), TASKS, shared / "data/eval", **settings) for lm in lms)
    assert_same(ours, theirs)
    assert all(len(samples) >= 12 for _, samples in ours.values())


def test_stage_writes_scores_with_errors_and_samples(given, run_stage):
    out, facts = run_stage(STAGE, given, tasks=["choose_tha_Thai", "count"], limit=9, keep_samples=3)
    scores = {score.task: score for score in read_scores(out)}
    assert facts["coverage"] == {"choose_tha_Thai": [9, 12], "count": [9, 12]}
    choose = scores["choose_tha_Thai"]
    assert (choose.language, choose.metric, choose.n, choose.revision) == ("tha_Thai", "acc", 9, 2)
    assert choose.stderr == pytest.approx(math.sqrt(choose.value * (1 - choose.value) / 8))
    samples = read_samples(out)
    assert [sample["task"] for sample in samples] == ["choose_tha_Thai"] * 3 + ["count"] * 3
    assert samples[0]["prompt"].startswith("a: 0 and 1 b: abc\n\n")
    assert "abc" in samples[0]["output"]
    assert "b" not in samples[-1]["output"]


def test_single_documents_are_joined_with_what_was_found_of_them(own_tasks, given, run_stage, artifact, tmp_path):
    """Scores, the questions' artifact and the search in training text go by the same names; the score without what was
    seen is the mean of the others' values."""
    from sampan.artifacts.item_values import read_item_values
    from sampan.artifacts.items import read_items
    from sampan.corpus.find_items import STAGE as FIND
    from sampan.evals.contamination import STAGE as CONTAMINATION
    from sampan.evals.items import STAGE as ITEMS

    longer = [
        {**row, "q": " ".join(f"w{n}x{k}" for k in range(14)), "good": "abc the", "source": f"page {n}"}
        for n, row in enumerate(ROWS)
    ]
    for file in own_tasks.glob("*.yaml"):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in longer), encoding="utf-8")
    given |= {role: [artifact(tmp_path, "external")] for role in ("task_files", "data")}
    out, _ = run_stage(STAGE, given, tasks=["choose_tha_Thai", "count", "roll"], limit=9)
    asked, values = read_item_values(out)
    scores = {(score.task, score.metric): score for score in read_scores(out)}
    assert {row.task: len(row.ids) for row in asked} == {"choose_tha_Thai": 9, "count": 9, "roll": 9}
    by_score = {(row.task, row.metric): row.values for row in values}
    assert by_score.keys() == {key for key in scores if key[0] != "roll"}  # bits per byte are no mean of documents
    for key, each in by_score.items():
        assert sum(each) / 9 == pytest.approx(scores[key].value)
    questions, _ = run_stage(ITEMS, {"scores": [artifact(out, "scores"), artifact(out, "scores")]})
    items = {(item.task, item.id): item for item in read_items(questions)}
    assert len(items) == 27
    row = longer[4]
    assert items["choose_tha_Thai", "4"].meta == {"texts": [row["q"], row["good"]]}  # "the" and "2" are no texts
    text = tmp_path.with_name(f"{tmp_path.name}-train.jsonl")
    text.write_text(json.dumps({"text": f"say: {row['q']} {row['good']} {row['bad']}.", "language": "tha_Thai"}) + "\n")
    search = {"items": [artifact(questions, "items")], "documents": [artifact(text, "documents")]}
    found, _ = run_stage(FIND, search)
    told, _ = run_stage(CONTAMINATION, {"scores": [artifact(out, "scores")], "findings": [artifact(found, "findings")]})
    rows = [json.loads(line) for line in (told / "contamination.jsonl").read_text(encoding="utf-8").splitlines()]
    (choose,) = (each for each in rows if each["task"] == "choose_tha_Thai")
    each = by_score["choose_tha_Thai", "acc"]
    assert (choose["searched"], choose["exact"]) == (9, 1)
    assert choose["value_without"] == pytest.approx((sum(each) - each[4]) / 8)


def test_hf_backend_gives_the_same_file(given, run_stage):
    """But for answers at their limit, which it does not tell."""
    ours, _ = run_stage(STAGE, given, tasks=["choose_tha_Thai", "count"], state="a")
    theirs, _ = run_stage(STAGE, given, tasks=["choose_tha_Thai", "count"], state="b", backend="hf")
    ended = [dataclasses.replace(score, cut_off=0) for score in read_scores(ours)]
    assert ended == read_scores(theirs)


def test_two_processes_write_what_one_does(given, artifact, other, tmp_path, one_and_two_processes):
    """Bit for bit, with two models, so that each process has one to take."""
    inputs = Inputs({**given, "models": [*given["models"], artifact(other, "checkpoint", "other")]})
    alone, together = one_and_two_processes(STAGE, STAGE.params(tasks=["choose_tha_Thai", "count"]), inputs)
    assert alone == together
    assert {score.model for score in read_scores(tmp_path / "2" / "out")} == {"tiny", "other"}


def test_a_finished_task_is_not_asked_again(given, run_stage, monkeypatch):
    run_stage(STAGE, given, tasks=["choose_tha_Thai"])
    monkeypatch.setattr("sampan.evals.lm_eval_run._evaluate", lambda *args: pytest.fail("asked twice"))
    run_stage(STAGE, given, tasks=["choose_tha_Thai"])


def test_equal_questions_have_equal_digests(given, run_stage):
    digests = [
        read_scores(run_stage(STAGE, given, state=str(n), tasks=["choose_tha_Thai"], **more)[0])[0].prompt_digest
        for n, more in enumerate([{}, {"backend": "hf"}, {"num_fewshot": 1}])
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"tasks": ["chose_tha_Thai"]}, RecipeError, "choose_tha_Thai"),
        ({"tasks": ["count"], "gen_kwargs": {"num_beams": 3}}, RecipeError, "num_beams"),
        ({"tasks": ["count"], "gen_kwargs": {"max_gen_toks": 500}}, InputError, "no room for a prompt"),
        ({"tasks": ["count"], "backend_args": {"a": 1}}, RecipeError, "backend_args"),
        ({"tasks": ["count"], "backend": "hf", "backend_args": {"trust_remote_code": True}}, RecipeError, "trust"),
        ({"tasks": ["count"], "backend": "local-completions"}, RecipeError, "base_url"),
        (
            {"tasks": ["count"], "backend": "local-completions",
             "backend_args": {"base_url": "http://127.0.0.1:9/v1/completions", "model": "m"}},
            InputError,
            "nobody answers at the endpoint",
        ),
    ],
)  # fmt: skip
def test_bad_requests_are_named(given, run_stage, values, error, says):
    with pytest.raises(error, match=says):
        run_stage(STAGE, given, **values)


def test_a_missing_data_file_is_named(given, run_stage, artifact, tmp_path):
    with pytest.raises(InputError, match="rows.jsonl"):
        run_stage(STAGE, given | {"data": [artifact(tmp_path, "external")]}, tasks=["count"])


def test_a_key_outside_the_choices_is_counted(own_tasks, given, run_stage, artifact, tmp_path):
    """lm-eval takes it for an answer that is never right; the metrics say how many."""
    for file in own_tasks.iterdir():
        text = file.read_text(encoding="utf-8")
        (tmp_path / file.name).write_text(
            text.replace("target: 0", "target: key").replace("fewshot: 2", "fewshot: 0"), "utf-8"
        )
    rows = [{**row, "key": number % 3} for number, row in enumerate(ROWS)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    folder = artifact(tmp_path, "external")
    given |= {"task_files": [folder], "data": [folder]}
    _, facts = run_stage(STAGE, given, tasks=["choose_tha_Thai"])
    assert facts["keys_outside"] == {"choose_tha_Thai": 4}  # 2 is no index of two choices; 12 rows


def test_a_model_that_writes_nothing_is_counted(given, run_stage, monkeypatch):
    from sampan.evals.lm_eval_backend import SampanLM

    monkeypatch.setattr(SampanLM, "generate_until", lambda self, requests, disable_tqdm=False: [" "] * len(requests))
    out, _ = run_stage(STAGE, given, tasks=["count"])
    (score,) = read_scores(out)
    assert (score.value, score.n, score.empty) == (0.0, 12, 12)
    records = read_records(out)
    assert {"prompt", "output", "extracted", "expected", "verdict", "id"} <= records[0].keys()
    assert records[0]["verdict"] == {"exact_match": 0.0}


def test_a_renamed_column_is_named(given, run_stage, artifact, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"question": "a", "n": "1"}\n')
    with pytest.raises((InputError, StageError), match="count.*'q' is undefined"):
        run_stage(STAGE, given | {"data": [artifact(tmp_path, "external")]}, tasks=["count"])


def test_a_tokenizer_without_a_chat_template_is_named(given, run_stage, make_tiny, artifact, tmp_path):
    model = make_tiny(tmp_path / "bare")
    (model / "chat_template.jinja").unlink()
    models = [artifact(model, "checkpoint")]
    with pytest.raises(InputError, match="no chat template"):
        run_stage(STAGE, given | {"models": models}, tasks=["count"], apply_chat_template=True)


def test_bundled_tasks_are_found_without_indexing_all():
    """Only the family that names the task is read: 22 s would pass otherwise."""
    from sampan.evals.lm_eval_tasks import task_manager

    manager = task_manager(["xcopa_id"], None, bundled=True)
    assert "xcopa_id" in manager.all_tasks
    assert len(manager.all_tasks) < 200
    with pytest.raises(RecipeError, match="bundled: true"):
        task_manager(["xcopa_id"], None, bundled=False)


@pytest.mark.parametrize(("stops", "cut_off"), [([], 12), (list("abcdefghijklmnopqrstuvwxyz .,"), 0)])
def test_answers_that_run_into_their_limit_are_counted(given, run_stage, stops, cut_off):
    """Three tokens are too few for the tiny model to end by itself; with every letter a stop none is missing."""
    settings = {"max_gen_toks": 3 if not stops else 100, "until": stops}
    out, _ = run_stage(STAGE, given, tasks=["count"], gen_kwargs=settings)
    (score,) = read_scores(out)
    assert (score.n, score.cut_off) == (12, cut_off)
