"""Collecting: files of real artifacts in, one ReportData out, names matched by digest."""

from __future__ import annotations

import base64
import json

import pytest

from sampan.artifacts.documents import Document, DocumentWriter
from sampan.artifacts.findings import Findings, Searched, write_findings
from sampan.artifacts.scores import Score, write_records, write_scores
from sampan.core.errors import InputError
from sampan.recipe.report import Record, StageSource, collect, render
from sampan.recipe.report.collect import MAX_LOG_ROWS, MAX_PICTURE_BYTES, MAX_PROMPTS_PER_LANGUAGE, chosen_records


def folder(tmp_path, name):
    path = tmp_path / name
    path.mkdir()
    return path


def score(model, digest):
    return Score(
        model=model,
        model_digest=digest,
        task="held_out",
        language="tha_Thai",
        metric="bits_per_byte",
        value=1.5,
        stderr=0.1,
        n=10,
        higher_is_better=False,
        prompt_digest="asked",
        revision=1,
    )


@pytest.fixture
def sources(tmp_path):
    pages = folder(tmp_path, "pages")
    with DocumentWriter(pages) as writer:
        writer.write(Document(id="1", text="สวัสดี", language="tha_Thai"))
        writer.drop("too_short", "lao_Laoo", "ສະ")
    cpt = folder(tmp_path, "cpt")
    log = [{"step": i, "tokens": i * 64, "loss": 4.0 - i / 1000, "lr": 1e-4} for i in range(1500)]
    log[777]["loss"] = 9.5
    (cpt / "train_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log), "utf-8")
    (cpt / "fertility.json").write_text(
        json.dumps(
            {
                "rows": [
                    {
                        "language": "tha_Thai",
                        "unit": "word",
                        "tokens_per_word_before": 9.0,
                        "tokens_per_word_after": 3.0,
                        "bytes_per_token_before": 1.0,
                        "bytes_per_token_after": 3.0,
                    }
                ],
                "vocab_size_before": 100,
                "vocab_size_after": 200,
            }
        ),
        "utf-8",
    )
    scores = folder(tmp_path, "scores")
    samples = [
        {"model": "elsewhere", "task": "open", "language": "tha_Thai", "prompt": f"p{i}", "output": "o" * 5000}
        for i in range(9)
    ]
    samples[0]["prompt"] = [{"role": "user", "content": "สวัสดี"}]
    write_scores(scores, [score("elsewhere", "d-cpt"), score("base", "d-base")], samples)
    manifest = {"digest": "d-cpt", "key": "k-cpt", "licenses": ["Apache-2.0"], "times": {"seconds": 2.5}}
    manifest |= {"params": {"lr": 1e-4}, "metrics": {"loss": 2.5}, "code": {"version": "0.1.0"}}
    manifest |= {"libraries": {"torch": "2.13"}, "kind": "checkpoint"}
    manifest["inputs"] = {
        "model": [{"name": "base", "digest": "d-base", "kind": "external"}],
        "tokens": [{"name": "their_name", "digest": "d-pages", "kind": "documents"}],
    }
    return [
        StageSource(name="base", kind="external", path=pages / "shard-00000.parquet", digest="d-base", status="given"),
        StageSource(name="pages", stage="crawl.warc", kind="documents", path=pages, digest="d-pages", status="hit"),
        StageSource(name="cpt", stage="train.causal_lm", kind="checkpoint", path=cpt, manifest=manifest, status="run"),
        StageSource(name="scores", stage="evals.run", kind="scores", path=scores, inputs={"models": ["base", "cpt"]}),
        StageSource(name="later", stage="export.hf", inputs={"model": ["cpt"]}, reason="not asked for"),
    ]


def test_report_collects_what_artifacts_hold(sources):
    data = collect(recipe="r", stages=sources, languages=("tha_Thai",))
    views = {stage.name: stage for stage in data.stages}
    assert views["pages"].summary["dropped"] == {"too_short": {"lao_Laoo": 1}}
    cpt = views["cpt"]
    assert (cpt.digest, cpt.key, cpt.seconds, cpt.code_version) == ("d-cpt", "k-cpt", 2.5, "0.1.0")
    assert cpt.params == {"lr": 1e-4}
    assert cpt.fertility["vocab_size_after"] == 200
    assert views["later"].status == "pending"
    assert data.versions == {"sampan": ("0.1.0",), "torch": ("2.13",)}


def test_report_matches_names_of_other_recipes_by_digest(sources):
    data = collect(recipe="r", stages=sources, languages=("tha_Thai",))
    assert [row.model for row in data.scores] == ["cpt", "base"]
    assert {sample.model for sample in data.samples} == {"cpt"}
    assert data.stages[2].inputs == {"model": ("base",), "tokens": ("pages",)}


def test_report_thins_logs_but_keeps_ends_and_spikes(sources):
    log = collect(recipe="r", stages=sources).stages[2].train_log
    assert len(log) <= MAX_LOG_ROWS + 2
    assert (log[0]["step"], log[-1]["step"]) == (0, 1499)
    assert max(row["loss"] for row in log) == 9.5
    assert [row["step"] for row in log] == sorted({row["step"] for row in log})


def test_report_samples_are_few_and_short(sources):
    samples = collect(recipe="r", stages=sources).samples
    assert len(samples) == MAX_PROMPTS_PER_LANGUAGE
    assert samples[0].prompt == "สวัสดี"
    assert all(len(sample.output) < 1300 for sample in samples)


def test_report_renders_what_it_collects(sources):
    page = render(collect(recipe="r", stages=sources, languages=("tha_Thai",)))
    for name in ("lineage", "scores", "fertility", "corpus", "training", "answers", "stages", "reproduce"):
        assert f'<section id="{name}"' in page


@pytest.mark.parametrize(
    ("stage", "name", "text", "says"),
    [
        (1, "summary.json", "{", "summary.json"),
        (2, "train_log.jsonl", '{"step": 1}\nnot json\n', "train_log.jsonl:2"),
        (2, "fertility.json", "[]", "one JSON object"),
        (3, "scores.jsonl", "{}\n", "scores"),
        (3, "samples.jsonl", "{\n", "samples"),
    ],
)
def test_report_names_a_damaged_file(sources, stage, name, text, says):
    (sources[stage].path / name).write_text(text, "utf-8")
    with pytest.raises(InputError, match=says):
        collect(recipe="r", stages=sources)


def test_report_shows_what_stages_drew_in_the_section_of_their_room(tmp_path):
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><title>tokens</title><script>alert(1)</script></svg>'
    measured, other, huge = (folder(tmp_path, name) for name in ("measured", "other", "huge"))
    surface = svg.replace("tokens", "surface")
    (measured / "fertility.svg").write_text(svg, "utf-8")
    (other / "search.svg").write_text(surface, "utf-8")
    (huge / "fertility.svg").write_text(svg + " " * MAX_PICTURE_BYTES, "utf-8")
    (measured / "fertility.json").write_text("{}", "utf-8")
    (measured / "scores.jsonl").write_text("", "utf-8")
    stages = [
        StageSource(name="fertility", stage="vocab.measure", kind="bundle", path=measured, status="hit"),
        StageSource(name="elsewhere", stage="merge.search", kind="bundle", path=other, status="hit"),
        StageSource(name="too_large", stage="vocab.measure", kind="bundle", path=huge, status="hit"),
    ]
    data = collect(recipe="r", stages=stages)
    assert [dict(stage.pictures) for stage in data.stages] == [{"fertility.svg": svg}, {"search.svg": surface}, {}]
    page = render(data)
    vocabulary, merges = page.split('id="merges"')
    for section, drawn in ((vocabulary, svg), (merges, surface)):
        encoded = base64.b64encode(drawn.encode()).decode()
        assert section.count(f'<img src="data:image/svg+xml;base64,{encoded}"') == 1
    assert "alert(1)" not in page  # an image cannot run what is in it


def test_report_needs_no_optional_files(tmp_path):
    empty = folder(tmp_path, "empty")
    kinds = ("documents", "checkpoint", "tokenizer", "tokens", "bundle")
    data = collect(
        recipe="r", stages=[StageSource(name=k, stage="x.y", kind=k, path=empty, status="hit") for k in kinds]
    )
    assert 'id="stages"' in render(data)


def record(model, n, task="quiz", **more):
    row = {"model": model, "language": "tha_Thai", "task": task, "id": f"i{n}", "prompt": f"p{n}", "output": "o"}
    return row | {"extracted": "", "expected": "o", "verdict": {"acc": 1.0}} | more


def test_collect_reads_items_and_findings(sources, tmp_path):
    scores = next(source for source in sources if source.kind == "scores")
    write_records(scores.path, [record("elsewhere", 1), record("base", 1, output=" ", prompt="x" * 5000 + "?")])
    found = folder(tmp_path, "found")
    write_findings(found, Findings(["d-pages"], [Searched("quiz", "tha_Thai", ["i1"])], []))
    data = collect(recipe="r", stages=[*sources, StageSource(name="seen", kind="findings", path=found)])
    first, second = data.records
    assert (first.model, first.mark, second.mark, data.records_left) == ("cpt", "right", "empty", 0)
    assert second.prompt.endswith("x?")  # of a long prompt the end is shown: there the question is
    assert data.findings[0].corpora == ["d-pages"]
    for name, text in (("records.jsonl", '{"model": "x"}'), ("records.jsonl", "{")):
        (scores.path / name).write_text(text, "utf-8")
        with pytest.raises(InputError, match="items cannot be read"):
            collect(recipe="r", stages=sources)


def test_collect_keeps_whole_items_in_turn_from_each_test():
    rows = [
        Record(model=model, language="tha_Thai", task=task, id=f"{n}", prompt=f"p{n}", output="o")
        for task in ("a", "b")
        for model in ("base", "sft")
        for n in range(50)
    ]
    kept = chosen_records(rows, limit=41)
    assert len(kept) == 40
    assert {(row.task, row.id, row.model) for row in kept} == {
        (task, f"{n}", model) for task in ("a", "b") for n in range(10) for model in ("base", "sft")
    }
