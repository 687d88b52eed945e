"""SEA-HELM 1.2's tasks by log-probability, on a small repository and against single forward passes."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
import yaml

from sampan.artifacts.profile_table import read_profile_table
from sampan.artifacts.scores import read_scores
from sampan.evals.helm.likelihoods import separator
from sampan.evals.helm.marks import mark_task
from sampan.evals.helm.tasks import V12, SeaTask
from sampan.evals.helm.total import Result, totals
from sampan.evals.sea_helm import STAGE
from sampan.model.encoding import encode_prompt
from sampan.model.generate import Decoding, generate

LENGTH = 12


def task(name: str, kind: str, **more) -> SeaTask:
    lindsea = "linguistic-diagnostics"
    metric = "average_cumulative_probabilities"
    return SeaTask(
        name=name, language="ind_Latn", code="id", competency=lindsea, metric=metric, kind=kind, needs="", **more
    )


def prompt(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Do.\n\n{text}"}]


@pytest.fixture
def repository(tmp_path, loaded):
    """One task whose tag is what the tiny model writes most often, so that some answers come to it and some do not."""
    model, tokenizer = loaded
    rows = [{"label": label, "prompts": [{"text": f"ask {n}"}]} for n, label in enumerate(["the", "มา", "a b"] * 4)]
    ids = [encode_prompt(tokenizer, prompt(row["prompts"][0]["text"])) for row in rows]
    written = generate(model, ids, Decoding(max_new_tokens=LENGTH), stop_ids=[2])
    texts = [tokenizer.decode(answer) for answer in written]
    counts = Counter(char for text in texts for char in set(text[1:]) if char.isprintable() and not char.isspace())
    tag = next(char for char, count in counts.most_common() if count < len(texts))
    home = tmp_path / "helm/seahelm_tasks/sentiment"
    home.mkdir(parents=True)
    (home / "id.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    config = {
        "competency": "nlu",
        "metric": "average_cumulative_probabilities",
        "metric_class": "LogProbMetric",
        "metric_file": "src/metrics/logprob_metric.py",
        "languages": {
            "id": {
                "filepath": "seahelm_tasks/sentiment/id.jsonl",
                "max_tokens": LENGTH,
                "prompt_template": {
                    "preamble": "Do.",
                    "task_template": "{text}",
                    "answer_template": "{answer_tag}: {label}",
                    "answer_tag": tag,
                },
            }
        },
    }
    (home / "config.yaml").write_text(yaml.safe_dump({"sentiment-logprobs": config}, allow_unicode=True), "utf-8")
    suite = {"seahelm_logprobs": {"id": ["sentiment-logprobs", "gone-logprobs"]}}
    (tmp_path / "helm/seahelm_tasks/task_config.yaml").write_text(yaml.safe_dump(suite), "utf-8")
    return tmp_path / "helm", rows, ids, written, tag


def test_evals_sea_helm_scores_the_gold_label_behind_the_tag(run_stage, artifact, tiny, loaded, repository):
    """Each row by a forward pass of its own over prompt, answer up to the tag, and label."""
    import torch

    folder, rows, ids, written, tag = repository
    model, tokenizer = loaded
    given = {"models": [artifact(tiny, "checkpoint")], "sea_helm": [artifact(folder, "external")]}
    out, _ = run_stage(STAGE, given, profile=V12, suite="seahelm_logprobs")
    (row,) = [json.loads(line) for line in (out / "answers.jsonl").read_text("utf-8").splitlines()]
    expected = []
    for question, answer, gold in zip(ids, written, rows, strict=True):
        ends = [n for n in range(1, len(answer) + 1) if tag in tokenizer.decode(answer[:n])]
        if not ends:
            expected.append(None)
            continue
        label = tokenizer(": " + gold["label"], add_special_tokens=False)["input_ids"]
        context = question + answer[: ends[0]]
        with torch.no_grad():
            logprobs = model(torch.tensor([context + label])).logits[0].log_softmax(-1)
        expected.append(sum(float(logprobs[len(context) - 1 + n, token]) for n, token in enumerate(label)))
    assert 0 < sum(value is None for value in expected) < len(rows)
    found = [float(answer) if answer else None for answer in row["answers"]]
    assert found == pytest.approx(expected, abs=1e-4)  # batched float32 sums
    shares = [0.0 if value is None else 100 * math.exp(value) for value in expected]
    scores = {score.metric: score for score in read_scores(out) if score.task == f"{V12}_sentiment-logprobs"}
    assert scores["average_cumulative_probabilities"].value == pytest.approx(sum(shares) / len(shares), rel=1e-3)
    assert scores["null_rate"].value == sum(value is None for value in expected) / len(rows)
    cells = {cell.competency: cell for cell in read_profile_table(out).cells["tiny"]}
    assert cells["nlu"].value == cells["language_score"].value == scores["average_cumulative_probabilities"].value
    assert "defined nowhere" in cells["language_score"].not_run["gone-logprobs"], "as 1.2.1 names one in its own suite"


@pytest.mark.parametrize(
    ("template", "between"),
    [
        ({"answer_template": "{answer_tag} {label}"}, " "),
        ({"answer_template": "{answer_tag}{label}", "answer_tag_separator": "-"}, ""),
        ({"answer_template": "odd", "answer_tag_separator": "-"}, "-"),
        ({}, " "),
    ],
)
def test_evals_sea_helm_reads_what_stands_between_tag_and_label(template, between):
    assert separator(task("x", "likelihood", template=template)) == between


def rows_of(*kinds: str) -> list[dict]:
    return [{"label": "x", "metadata": {"linguistic_phenomenon": kind}} for kind in kinds]


def logs(*shares: float | None) -> list[str]:
    """Answers with these probabilities, of 100."""
    return ["" if share is None else repr(math.log(share / 100)) for share in shares]


def test_evals_sea_helm_lindsea_by_likelihood_is_averaged_by_task_then_phenomenon():
    """As the official aggregation: (40 + 10) / 2 and 60 by phenomenon, not over their items; then minimal pairs."""
    single, pair = (
        task("pragmatic-single-logprobs", "pragmatic_likelihood"),
        task("pragmatic-pair-logprobs", "pragmatic_likelihood"),
    )
    minimal = task("mp-r-logprobs", "likelihood")
    marked = [
        (single, mark_task(single, V12, rows_of("a", "a", "b"), logs(50, 30, 60))),
        (pair, mark_task(pair, V12, rows_of("a", "a", "a", "a"), logs(20, 10, 10, None))),
        (minimal, mark_task(minimal, V12, rows_of("c", "c"), logs(90, None))),
    ]
    results = []
    for each, found in marked:
        mark = found.entering(each.metric)
        results.append(Result(task=each, mark=mark, phenomena=() if mark else found.phenomena))
    assert marked[-1][1].entering(minimal.metric).value == pytest.approx(45)
    cells = totals(results)
    assert cells[0].value == pytest.approx((45 + ((40 + 10) / 2 + 60) / 2) / 2)
    assert cells[0].ran == [each.name for each, _ in marked]
