"""The stage `evals.run`: rows, samples, selection, resume, errors."""

from __future__ import annotations

import dataclasses
import json

import pytest

from sampan.artifacts.documents import Document, write_documents
from sampan.artifacts.item_values import read_item_values
from sampan.artifacts.items import CLUSTER, Item, read_items, write_items
from sampan.artifacts.scores import read_records, read_samples, read_scores
from sampan.core.errors import InputError, RecipeError
from sampan.evals.groups import thin
from sampan.evals.run import STAGE
from sampan.evals.suites import SUITES
from sampan.evals.task_file import load_task


@pytest.fixture
def held_out(tmp_path, artifact):
    folder = tmp_path / "held"
    folder.mkdir()
    texts = [("tha_Thai", "มานาน ฉันมา " * n) for n in range(1, 7)] + [("eng_Latn", "the cab bc " * 5), ("en", "a the")]
    write_documents(folder, [Document(str(n), text, language) for n, (language, text) in enumerate(texts)])
    return artifact(folder, "documents")


@pytest.fixture
def items(tmp_path, artifact):
    folder = tmp_path / "items"
    folder.mkdir()
    rows = []
    for n in range(6):
        rows.append(Item(f"{n}", "quiz", "multiple_choice", "tha_Thai", f"มา {n}: ", ["a", "b", "the"], str(n % 3)))
        rows.append(Item(f"{n}", "quiz", "multiple_choice", "eng_Latn", f"the {n}:", [" a", " b"], str(n % 2)))
        rows.append(Item(f"{n}", "say", "generate", "eng_Latn", [{"role": "user", "content": f"say {n}"}], [], f"{n}"))
    rows.append(Item("p", "pair", "preference", "eng_Latn", "the ", ["cab", "c c c"]))
    write_items(folder, rows)
    return artifact(folder, "items")


def test_documents_may_name_what_they_are_translations_of(run_stage, artifact, tiny, tmp_path):
    folder = tmp_path / "parallel"
    folder.mkdir()
    rows = [("tha_Thai", "มานาน ", {CLUSTER: "a"}), ("tha_Thai", "ฉันมา ", {}), ("eng_Latn", "the cab ", {})]
    write_documents(folder, [Document(str(n), text, code, meta=meta) for n, (code, text, meta) in enumerate(rows)])
    out, _ = run_stage(
        STAGE, {"models": [artifact(tiny, "checkpoint", "base")], "held_out": [artifact(folder, "documents")]}
    )
    clusters = {row.language: row.clusters for row in read_item_values(out)[0]}
    first, second = clusters["tha_Thai"]
    assert "a" in (first, second)
    assert first != second
    assert clusters["eng_Latn"] == [], "where no document names any, each counts for itself"


def test_evals_run_writes_one_row_per_model_task_language_metric(run_stage, artifact, tiny, other, held_out, items):
    models = [artifact(tiny, "checkpoint", "base"), artifact(other, "checkpoint", "sft")]
    given = {"models": models, "held_out": [held_out], "items": [items]}
    out, metrics = run_stage(STAGE, given, max_new_tokens=5, sample_prompts=2)
    scores = read_scores(out)
    assert {(s.model, s.task, s.language, s.metric) for s in scores} == {
        (model, *rest)
        for model in ("base", "sft")
        for rest in [
            ("held_out", "eng_Latn", "bits_per_byte"),
            ("held_out", "tha_Thai", "bits_per_byte"),
            ("quiz", "tha_Thai", "acc"),
            ("quiz", "tha_Thai", "acc_bytes"),
            ("quiz", "eng_Latn", "acc"),
            ("quiz", "eng_Latn", "acc_bytes"),
            ("say", "eng_Latn", "exact_match"),
            ("pair", "eng_Latn", "preference_acc"),
        ]
    }
    assert metrics["scores"] == len(scores) == 16
    assert [s.n for s in scores if s.task == "held_out" and s.model == "base"] == [2, 6]  # `en` is eng_Latn
    assert {s.higher_is_better for s in scores if s.metric == "bits_per_byte"} == {False}
    by_task = {(s.task, s.language): s.prompt_digest for s in scores}
    for score in scores:  # both models were asked the same
        assert by_task[score.task, score.language] == score.prompt_digest
    assert len({s.value for s in scores if s.metric == "bits_per_byte"}) == 4
    samples = read_samples(out)
    assert len(samples) == 2 * 2 * 2  # models, languages, prompts
    assert set(samples[0]) == {"model", "task", "language", "prompt", "output", "expected"}
    asked = {m: [(s["task"], s["prompt"]) for s in samples if s["model"] == m] for m in ("base", "sft")}
    assert asked["base"] == asked["sft"]
    assert {s["task"] for s in samples} == {"say", "held_out"}  # generate items before openings of text


def test_evals_run_is_the_same_twice_and_in_other_batches(run_stage, artifact, tiny, held_out, items):
    given = {"models": [artifact(tiny, "checkpoint")], "held_out": [held_out], "items": [items]}
    first, _ = run_stage(STAGE, given, state="a", max_new_tokens=5)
    again, _ = run_stage(STAGE, given, state="b", max_new_tokens=5)
    for name in ("scores.jsonl", "samples.jsonl"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    small, _ = run_stage(STAGE, given, state="c", max_new_tokens=5, batch_tokens=20, batch_size=2)
    assert read_samples(small) == read_samples(first)
    for one, two in zip(read_scores(first), read_scores(small), strict=True):
        # padding changes the order of float32 sums
        assert one.value == pytest.approx(two.value, rel=2e-4)


def test_evals_exact_match_counts_what_the_model_says(run_stage, artifact, tiny, items, tmp_path):
    """An answer key taken from the model's own greedy outputs scores 1, with a stop string too."""
    given = {"models": [artifact(tiny, "checkpoint")], "items": [items]}
    out, _ = run_stage(STAGE, given, state="a", max_new_tokens=6, sample_prompts=100)
    said = {sample["prompt"]: sample["output"] for sample in read_samples(out) if sample["task"] == "say"}
    key = [
        dataclasses.replace(item, answer=said[item.prompt[0]["content"]])
        for item in read_items(items)
        if item.type == "generate"
    ]
    key = [item for item in key if item.answer.strip()]
    assert key
    said = key[0].answer
    end = next(n for n in range(1, len(said)) if said[:n].strip() and said[n] not in said[:n])
    stopped = dataclasses.replace(key[0], task="stopped", answer=said[:end], meta={"stop": [said[end]]})
    folder = tmp_path / "key"
    folder.mkdir()
    write_items(folder, [*key, stopped, dataclasses.replace(key[0], task="wrong", answer="no such words")])
    given["items"] = [artifact(folder, "items")]
    out, _ = run_stage(STAGE, given, state="b", max_new_tokens=6)
    assert {s.task: s.value for s in read_scores(out)} == {"say": 1.0, "stopped": 1.0, "wrong": 0.0}


def test_evals_run_resumes_after_a_kill(run_stage, artifact, tiny, other, items, monkeypatch):
    from sampan.model import checkpoint

    loads = []
    load = checkpoint.load_model

    def loader(folder, **how):
        loads.append(folder.name)
        if folder.name == "other" and loads.count("other") == 1:
            raise KeyboardInterrupt
        return load(folder, **how)

    monkeypatch.setattr(checkpoint, "load_model", loader)
    given = {"models": [artifact(tiny, "checkpoint"), artifact(other, "checkpoint")], "items": [items]}
    with pytest.raises(KeyboardInterrupt):
        run_stage(STAGE, given, state="killed", max_new_tokens=4)
    resumed, _ = run_stage(STAGE, given, state="killed", max_new_tokens=4)
    assert loads == ["tiny", "other", "other"]  # the finished model is not asked again
    whole, _ = run_stage(STAGE, given, state="whole", max_new_tokens=4)
    for name in ("scores.jsonl", "samples.jsonl"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes()


def test_evals_equal_checkpoints_are_asked_once(run_stage, artifact, tiny, items):
    models = [artifact(tiny, "checkpoint", "one"), artifact(tiny, "checkpoint", "two")]
    out, metrics = run_stage(STAGE, {"models": models, "items": [items]}, max_new_tokens=4)
    scores = read_scores(out)
    assert list(metrics["model_seconds"]) == ["one"]
    one, two = ([dataclasses.replace(s, model="") for s in scores if s.model == name] for name in ("one", "two"))
    assert one == two
    assert one


def test_evals_language_and_size_limits(run_stage, artifact, tiny, held_out, items):
    given = {"models": [artifact(tiny, "checkpoint")], "held_out": [held_out], "items": [items]}
    out, _ = run_stage(STAGE, given, languages=["th"], max_items=2, max_documents=3, sample_prompts=0)
    scores = read_scores(out)
    assert {s.language for s in scores} == {"tha_Thai"}
    assert {s.task: s.n for s in scores} == {"held_out": 3, "quiz": 2}
    assert read_samples(out) == []
    with pytest.raises(RecipeError, match="nothing to ask in the language"):
        run_stage(STAGE, given, languages=["lao_Laoo"])


def test_evals_thin_keeps_parallel_items_together():
    rows = [Item(str(n), "t", "generate", "", f"{n}", [], "x") for n in range(50)]
    for seed in range(3):
        chosen = [item.id for item in thin(rows, 10, seed)]
        shuffled = [dataclasses.replace(item, language="tha_Thai", prompt="other") for item in rows[::-1]]
        assert sorted(item.id for item in thin(shuffled, 10, seed)) == sorted(chosen)
        assert chosen == sorted(chosen, key=int)  # in their own order
        assert set(chosen) != {str(n) for n in range(10)}
    assert thin(rows, 0, 0) == rows


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (Item("1", "t", "multiple_choice", "", "?", ["a", "b"], "2"), "not the index"),
        (Item("1", "t", "multiple_choice", "", "?", ["a", "b"], ""), "not the index"),
        (Item("1", "t", "multiple_choice", "", "?", ["a"], "0"), "at least two choices"),
        (Item("1", "t", "preference", "", "?", ["a"], ""), "two choices"),
        (Item("1", "t", "generate", "", "?", [], ""), "an `answer` or a `pattern`"),
    ],
)
def test_evals_bad_items(run_stage, artifact, tiny, tmp_path, item, says):
    folder = tmp_path / "bad"
    folder.mkdir()
    write_items(folder, [item])
    with pytest.raises(InputError, match=says):
        run_stage(STAGE, {"models": [artifact(tiny, "checkpoint")], "items": [artifact(folder, "items")]})


def test_evals_nothing_to_ask(run_stage, artifact, tiny):
    models = [artifact(tiny, "checkpoint")]
    with pytest.raises(RecipeError, match="nothing to ask"):
        run_stage(STAGE, {"models": models})
    with pytest.raises(RecipeError, match="needs the input `data`"):
        run_stage(STAGE, {"models": models}, tasks=["xcopa"])


def test_evals_bundled_task_from_a_folder(run_stage, artifact, tiny, tmp_path):
    data = tmp_path / "data" / "xcopa"
    data.mkdir(parents=True)
    row = {"premise": "Tiada.", "choice1": "A b", "choice2": "Bc", "question": "effect", "label": 1, "idx": 3}
    (data / "id.test.jsonl").write_text(json.dumps(row), "utf-8")
    given = {"models": [artifact(tiny, "checkpoint")], "data": [artifact(tmp_path / "data", "external")]}
    out, _ = run_stage(STAGE, given, tasks=["xcopa"])
    assert [(s.task, s.language, s.metric, s.revision) for s in read_scores(out)] == [
        ("xcopa", "ind_Latn", "acc", 1),
        ("xcopa", "ind_Latn", "acc_bytes", 1),
    ]
    own = tmp_path / "own"
    own.mkdir()
    write_items(own, [Item("1", "xcopa", "generate", "", "?", [], "x")])
    with pytest.raises(RecipeError, match="a bundled task and a task of the items"):
        run_stage(STAGE, {**given, "items": [artifact(own, "items")]}, tasks=["xcopa"])


def test_evals_a_suite_asks_what_is_there_and_names_the_rest(run_stage, artifact, tiny, tmp_path):
    data = tmp_path / "data" / "xcopa"
    data.mkdir(parents=True)
    row = {"premise": "Tiada.", "choice1": "A b", "choice2": "Bc", "question": "effect", "label": 1, "idx": 3}
    (data / "id.test.jsonl").write_text(json.dumps(row), "utf-8")
    given = {"models": [artifact(tiny, "checkpoint")], "data": [artifact(tmp_path / "data", "external")]}
    out, metrics = run_stage(STAGE, given, suite="sea", tasks=["xcopa"])
    assert {s.task for s in read_scores(out)} == {"xcopa"}
    assert sorted(metrics["suite_without_files"]) == sorted(set(SUITES["sea"]) - {"xcopa"})
    with pytest.raises(RecipeError, match="nothing to ask"):
        run_stage(STAGE, given, suite="english")
    with pytest.raises(RecipeError, match="`suite` needs the input `data`"):
        run_stage(STAGE, {"models": given["models"]}, suite="sea")


def test_evals_suites_are_of_bundled_tasks():
    named = [name for suite in SUITES.values() for name in suite]
    assert sorted(named) == sorted(set(named))
    for name in named:
        load_task(name)


def test_evals_records_hold_prompt_answer_extraction_and_verdict(run_stage, artifact, tiny, other, items):
    models = [artifact(tiny, "checkpoint", "base"), artifact(other, "checkpoint", "sft")]
    out, _ = run_stage(STAGE, {"models": models, "items": [items]}, max_new_tokens=5, keep_items=4)
    rows = read_records(out)
    by_model = {name: [row for row in rows if row["model"] == name] for name in ("base", "sft")}
    assert len(by_model["base"]) == 4 + 4 + 4 + 1  # two languages of quiz, say, and the one pair
    asked = [[(row["task"], row["language"], row["id"], row["prompt"]) for row in own] for own in by_model.values()]
    assert asked[0] == asked[1]
    values = {(row.model, row.task, row.language, row.metric): row.values for row in read_item_values(out)[1]}
    ids = {(row.task, row.language): row.ids for row in read_item_values(out)[0]}
    for row in rows:
        place = ids[row["task"], row["language"]].index(row["id"])
        for metric, value in row["verdict"].items():
            assert values[row["model"], row["task"], row["language"], metric][place] == value
        assert row["verdict"]
    choice = next(row for row in rows if row["task"] == "quiz" and row["language"] == "tha_Thai")
    lines = dict(line.split(" ", 1)[::-1] for line in choice["output"].split("\n"))
    assert lines.keys() == {"a", "b", "the"}
    assert choice["extracted"] == max(lines, key=lambda name: float(lines[name]))
    assert (choice["verdict"]["acc"] == 1) == (choice["extracted"] == choice["expected"])


def test_evals_records_read_what_the_metric_reads(run_stage, artifact, tiny, tmp_path, monkeypatch):
    from sampan.evals.generation import Outputs

    answers = {"n": "so ๑๘ eggs", "o": "(C) x", "r": "I cannot do that", "x": r"\boxed{3}", "f": "no commas, no"}
    rows = [
        Item("n", "n", "generate", "tha_Thai", "n", [], "18", meta={"metrics": ["number"]}),
        Item("o", "o", "generate", "eng_Latn", "o", [], "C", meta={"metrics": ["m3exam_option"], "marks": ["B", "C"]}),
        Item("r", "r", "generate", "eng_Latn", "r", [], "", meta={"metrics": ["refusal_rate"]}),
        Item("x", "x", "generate", "eng_Latn", "x", [], "4", meta={"metrics": ["latex"]}),
        Item("f", "f", "generate", "eng_Latn", "f", [], "",
             meta={"metrics": ["ifeval"], "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}),
    ]  # fmt: skip
    folder = tmp_path / "own"
    folder.mkdir()
    write_items(folder, rows)
    monkeypatch.setattr(Outputs, "answer", lambda self, item: answers[item.id])
    out, _ = run_stage(STAGE, {"models": [artifact(tiny, "checkpoint")], "items": [artifact(folder, "items")]})
    read = {row["id"]: (row["extracted"], row["verdict"]) for row in read_records(out)}
    assert read["n"] == ("18", {"exact_match": 1})
    assert read["o"] == ("C", {"exact_match": 1, "ill_formed_rate": 0})
    assert read["r"] == ("refuse", {"refusal_rate": 1})
    assert read["x"] == ("3", {"exact_match": 0})
    assert read["f"][0] == "punctuation:no_comma: not followed"
    assert read["f"][1]["prompt_strict_accuracy"] == 0


@pytest.mark.parametrize(("says", "counts"), [("", (6, 0)), ("ab " * 40, (0, 6)), ("3", (0, 0))])
def test_evals_a_model_that_says_nothing_or_loops_is_counted(
    run_stage, artifact, tiny, items, monkeypatch, says, counts
):
    from sampan.evals.generation import Outputs

    monkeypatch.setattr(Outputs, "answer", lambda self, item: says)
    given = {"models": [artifact(tiny, "checkpoint", "mute")], "items": [items]}
    monkeypatch.setattr(Outputs, "is_cut_off", lambda self, item: False)
    out, metrics = run_stage(STAGE, given, more_metrics=["degeneration", "wrong_language"])
    rows = {score.metric: score for score in read_scores(out) if score.task == "say"}
    assert (rows["exact_match"].empty, rows["exact_match"].looping) == counts
    assert rows["degeneration_rate"].value == (sum(counts) > 0)
    assert "wrong_language_rate" not in rows or says.strip()
    told = {name: count for name, count in zip(("empty", "looping"), counts, strict=True) if count}
    assert metrics["answers"] == ({"mute": {"say/eng_Latn": told}} if told else {})


def test_evals_coverage_names_what_was_not_asked(run_stage, artifact, tiny, tmp_path):
    data = tmp_path / "data" / "xcopa"
    data.mkdir(parents=True)
    row = {"premise": "Tiada.", "choice1": "A b", "choice2": "Bc", "question": "effect", "label": 1, "idx": 3}
    rows = [row, {**row, "premise": None, "idx": 4}]
    (data / "id.test.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    given = {"models": [artifact(tiny, "checkpoint")], "data": [artifact(tmp_path / "data", "external")]}
    out, metrics = run_stage(STAGE, given, tasks=["xcopa"])
    assert metrics["coverage"] == {
        "xcopa": {
            "asked": {"ind_Latn": 1},
            "left_out": {"ind_Latn": 1},
            "languages_without_file": ["tam_Taml", "tha_Thai", "vie_Latn", "zho_Hans"],
        }
    }
    assert {(score.n, score.left_out) for score in read_scores(out)} == {(1, 1)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": 5}, "the answer '5' is not the index of one of 2 choices"),
        ({"premisse": "x", "premise": ...}, "no 'premise'.*Did you mean 'premisse'"),
        ({"question": "why"}, "no word for 'why'"),
        ({"choice1": ["A"]}, "'choice1' is not a text"),
    ],
)
def test_evals_a_file_that_does_not_fit_is_named(run_stage, artifact, tiny, tmp_path, change, says):
    data = tmp_path / "data" / "xcopa"
    data.mkdir(parents=True)
    row = {"premise": "Tiada.", "choice1": "A b", "choice2": "Bc", "question": "effect", "label": 1, "idx": 3} | change
    row = {name: value for name, value in row.items() if value is not ...}
    (data / "id.test.jsonl").write_text(json.dumps(row), "utf-8")
    given = {"models": [artifact(tiny, "checkpoint")], "data": [artifact(tmp_path / "data", "external")]}
    with pytest.raises(InputError, match=says) as error:
        run_stage(STAGE, given, tasks=["xcopa"])
    assert "xcopa/id.test.jsonl:1" in str(error.value) or "item '3' of task 'xcopa'" in str(error.value)


def test_evals_a_missing_data_file_is_named(run_stage, artifact, tiny, tmp_path):
    given = {"models": [artifact(tiny, "checkpoint")], "data": [artifact(tmp_path, "external")]}
    with pytest.raises(InputError, match=r"none of the files of task 'gsm8k'.*gsm8k/test.jsonl.*grade-school-math"):
        run_stage(STAGE, given, tasks=["gsm8k"])


def test_evals_a_tokenizer_without_a_chat_template_is_named(run_stage, artifact, make_tiny, items, tmp_path):
    """Its model is asked in plain text, as SEA-HELM asks base models; the metrics say so."""
    bare = make_tiny(tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    _, metrics = run_stage(STAGE, {"models": [artifact(bare, "checkpoint", "bare")], "items": [items]})
    assert metrics["without_chat_template"] == ["bare"]


@pytest.mark.parametrize("values", [{"context_len": 1}, {"max_items": -1}, {"batch_size": 0}, {"task": ["x"]}])
def test_evals_bad_params(run_stage, artifact, tiny, values):
    with pytest.raises(RecipeError):
        run_stage(STAGE, {"models": [artifact(tiny, "checkpoint")]}, **values)


def test_evals_defaults_leave_the_key_empty():
    from sampan.core.params import non_default, parse_params

    assert non_default(parse_params(STAGE.params, {}, where="")) == {}


def test_evals_stage_modules_are_light():
    import subprocess
    import sys

    code = (
        "import sys, sampan.evals.run, sampan.synth.self_preference;"
        "print([m for m in ('torch', 'transformers', 'numpy', 'pyarrow', 'yaml') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
