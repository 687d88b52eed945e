"""Our scores of some 21,000 made-up answers against what SEA-HELM's own code gave for them.

The official numbers lie in sea_helm_official_*.json; `tools/record_sea_helm.py` made them from the repository at its
tags v1.0.0 and v1.2.1. With a checkout at hand (SAMPAN_SEA_HELM_1_0, SAMPAN_SEA_HELM_1_2) its own tasks and prompts are
compared too.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from pathlib import Path

import pytest
import sea_helm_cases
from sea_helm_repository import write_repository

from sampan.artifacts.profile_table import LANGUAGE, OVERALL
from sampan.evals.helm import rows as sea_rows
from sampan.evals.helm.marks import mark_task
from sampan.evals.helm.prompts import chosen_examples, conversation
from sampan.evals.helm.tasks import V1, V12, suite_tasks
from sampan.evals.helm.total import Result, totals
from sampan.evals.helm.win_rate import win_rate

PROFILES = {sea_helm_cases.V1: V1, sea_helm_cases.V12: V12}
EXACT = 1e-9
"""Sums of floats in another order; every score is on a scale of 0 to 100."""


@pytest.fixture(scope="module", params=list(PROFILES))
def scored(request, tmp_path_factory):
    """(official record, cases, tasks, marked answers) of one version."""
    version = request.param
    official = json.loads((Path(__file__).parent / f"sea_helm_official_{version}.json").read_text("utf-8"))
    cases = sea_helm_cases.cases(version)
    folder = write_repository(tmp_path_factory.mktemp("sea_helm"), version, every=26)
    tasks = {(task.name, task.code): task for task in suite_tasks(folder, PROFILES[version], "seahelm")}
    tasks = [tasks[case["task"], case["language"]] for case in cases]
    marked = [
        None
        if case["task"] == "mt-bench"
        else mark_task(task, PROFILES[version], case["rows"], case["answers"], case.get("metricx", ()))
        for task, case in zip(tasks, cases, strict=True)
    ]
    return official, cases, tasks, marked


def test_evals_sea_helm_cases_are_those_that_were_recorded(scored):
    official, cases, _, _ = scored
    text = json.dumps(cases, ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == official["cases"]
    assert [(case["task"], case["language"]) for case in cases] == [
        (row["task"], row["language"]) for row in official["scores"]
    ]
    assert all(len(case["rows"]) >= 200 for case in cases)


def test_evals_sea_helm_scores_are_the_official_ones(scored):
    official, cases, tasks, marked = scored
    compared = 0
    for case, task, mine, theirs in zip(cases, tasks, marked, official["scores"], strict=True):
        where, wanted = f"{task.name}, {task.code}", theirs["metrics"]
        if mine is None:
            assert win_rate(case["rows"]).value == pytest.approx(wanted[task.metric], abs=EXACT), where
            compared += 1
            continue
        ours = {mark.metric: mark.value for mark in mine.marks}
        for name in {"accuracy", "exact_match", "chrf_score", task.metric} & ours.keys() & wanted.keys():
            assert ours[name] == pytest.approx(wanted[name], abs=EXACT), (where, name)
            compared += 1
        if "null_count" in wanted and "null_rate" in ours:
            assert round(ours["null_rate"] * len(case["rows"])) == wanted["null_count"], where
        if task.kind == "pragmatic":
            counts = defaultdict(lambda: [0, 0])
            for kind, right in mine.phenomena:
                counts[kind][0] += right
                counts[kind][1] += 1
            assert counts == wanted["subcategories"], where
        else:
            assert mine.entering(task.metric), where
    assert compared >= len(cases) - 4


def test_evals_sea_helm_items_are_the_official_ones(scored):
    """Answer by answer: two slips that cancel out in a mean show here."""
    official, cases, tasks, marked = scored
    for case, task, mine, theirs in zip(cases, tasks, marked, official["scores"], strict=True):
        if mine is None:
            continue
        if task.kind == "label":
            ours = [float(said == row["label"]) for said, row in zip(mine.read, case["rows"], strict=True)]
        elif mine.phenomena:
            ours = [float(right) for _, right in mine.phenomena]
        else:
            scale = 100 if task.kind in ("answer", "instruction") else 1
            ours = [None if value is None else value / scale for value in mine.entering(task.metric).values]
        # the record keeps nine decimals
        assert ours == [None if value is None else pytest.approx(value, abs=2e-9) for value in theirs["items"]], task


def test_evals_sea_helm_totals_are_the_official_ones(scored):
    official, cases, tasks, marked = scored
    results = []
    for case, task, mine in zip(cases, tasks, marked, strict=True):
        mark = win_rate(case["rows"]) if mine is None else mine.entering(task.metric)
        results.append(Result(task=task, mark=mark, phenomena=mine.phenomena if mine and not mark else ()))
    for wanted in official["totals"]:
        left = [r for r in results if r.task.name not in wanted["left_out"]]
        # the official code cannot total half of LINDSEA, so the record leaves such a language's half out
        known = wanted["languages"]
        left = [r for r in left if r.task.competency in known.get(r.task.code, ())]
        codes = {task.language: task.code for task in tasks}
        got = {(codes.get(cell.language, ""), cell.competency): cell.value for cell in totals(left)}
        assert got.pop(("", OVERALL)) == pytest.approx(wanted["total"], abs=EXACT)
        for language, competencies in known.items():
            for name, value in competencies.items():
                name = LANGUAGE if name == "total" else name
                assert got.pop((language, name)) == pytest.approx(value, abs=EXACT), (language, name)
        assert not got


@pytest.mark.parametrize("version", list(PROFILES))
def test_evals_sea_helm_prompts_are_the_official_ones(version):
    """Every task of the real repository whose rows lie in it: the same prompts to the character, 0-shot and 5-shot."""
    given = os.environ.get(f"SAMPAN_SEA_HELM_{version.replace('.', '_')}")
    if not given:
        pytest.skip("no checkout of SEA-HELM; the scores are compared with the committed record all the same")
    folder, profile = Path(given), PROFILES[version]
    record = json.loads((Path(__file__).parent / f"sea_helm_official_{version}.json").read_text("utf-8"))
    suites = {sea_helm_cases.V1: ("all_tasks",), sea_helm_cases.V12: ("seahelm", "batayan", "sea_safeguard")}[version]
    tasks = {(task.name, task.code): task for suite in suites for task in suite_tasks(folder, profile, suite)}
    compared = 0
    for row in record["prompts"]:
        task = tasks.get((row["task"], row["language"]))
        if task is None:
            continue
        asked = sea_rows.eval_rows(task, folder, None)[: row["rows"]]
        examples = sea_rows.example_rows(task, folder, None)
        for shots, wanted in zip((0, 5), row["digests"], strict=False):
            made = [conversation(task, profile, one, chosen_examples(task, examples, shots)) for one in asked]
            text = json.dumps([[turn["content"] for turn in turns] for turns in made], ensure_ascii=False)
            assert hashlib.sha256(text.encode()).hexdigest() == wanted, (task.name, task.code, shots)
            compared += 1
    assert compared == {sea_helm_cases.V1: 135, sea_helm_cases.V12: 51}[version]
