"""Planted near-duplicates of every script: the same documents stay in any order, with any workers, here and on Ray."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from corpus_dedup_engine import ALPHABETS, edited, rows, run_dedup, text_of

from sampan.artifacts.document_shards import document_jobs
from sampan.artifacts.documents import Document
from sampan.core.identity import digest_tree
from sampan.core.shards import Job
from sampan.corpus import spill
from sampan.recipe.engines import Place

SETS, EDITS = 12, 0.05


def planted() -> list[Document]:
    """For each script texts with a copy of one in twenty units edited, and as many without."""
    chance = random.Random(11)
    documents = []
    for language in ALPHABETS:
        for number in range(2 * SETS):
            text = text_of(chance, language, 120)
            documents.append(Document(f"{language}-{number}", text, language=language))
            if number < SETS:
                copy = edited(chance, text, language, EDITS)
                documents.append(Document(f"{language}-{number}-copy", copy, language=language))
    return documents


def deduplicated(folder: Path, documents: Sequence[Document], place: Place) -> tuple[list[str], str, int]:
    """(kept rows, digest of the artifact, jobs of the largest phase)."""
    engine, most = place.runner(), 0

    def counted(jobs: Sequence[Job], on_done) -> None:
        nonlocal most
        most = max(most, len(jobs))
        engine(jobs, on_done)

    kept, metrics, out = run_dedup(folder, {"documents": [list(documents)]}, engine=counted, parts=5)
    assert metrics["dropped"] == {"near_duplicate": SETS * len(ALPHABETS)}
    return rows(kept), digest_tree(out), most


@pytest.fixture
def small_jobs(monkeypatch):
    """Jobs of some thousand bytes and several ranges of keys, so that there is work for all workers."""
    monkeypatch.setitem(document_jobs.__kwdefaults__, "job_bytes", 20_000)
    monkeypatch.setattr(spill, "BUCKET_RECORDS", 2_000)


def test_any_order_and_any_number_of_workers(tmp_path, small_jobs):
    documents = planted()
    one, four = (deduplicated(tmp_path, documents, Place(workers=workers)) for workers in (1, 4))
    assert one == four, "the same bytes"
    assert one[2] >= 4, "enough jobs to spread"
    random.Random(1).shuffle(documents)
    assert deduplicated(tmp_path, documents, Place(workers=1))[0] == one[0], "the same documents"


@pytest.mark.slow
def test_ray_keeps_what_this_machine_keeps(tmp_path, small_jobs, ray_address):
    ray = pytest.importorskip("ray")
    documents = planted()
    random.Random(5).shuffle(documents)
    here = deduplicated(tmp_path, documents, Place(workers=1))
    try:
        there = deduplicated(tmp_path, documents, Place(engine="ray", workers=2, options={"address": ray_address}))
    finally:
        ray.shutdown()
    assert there == here
