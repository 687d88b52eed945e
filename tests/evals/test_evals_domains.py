"""Bits per byte by language and domain."""

from __future__ import annotations

import math

import pytest

from sampan.artifacts.documents import Document, write_documents
from sampan.artifacts.item_values import read_item_values
from sampan.artifacts.scores import read_scores
from sampan.evals.domains import parts
from sampan.evals.run import STAGE


def documents(*rows: tuple[str, str, str, str]) -> list[Document]:
    """From (language, source, domain, text)."""
    return [
        Document(str(n), text, language, source=source, meta={"domain": domain} if domain else {})
        for n, (language, source, domain, text) in enumerate(rows)
    ]


ROWS = documents(
    ("tha_Thai", "wiki", "", "มานาน ฉันมา " * 3),
    ("tha_Thai", "News Site/2024", "", "ฉันมา " * 4),
    ("tha_Thai", "wiki", "", "นาน มา " * 5),
    ("eng_Latn", "wiki", "law", "the cab " * 4),
    ("eng_Latn", "news", "law", "bc the " * 3),
)


def test_evals_held_out_text_has_a_score_for_each_domain(run_stage, artifact, tiny, tmp_path):
    folder = tmp_path / "held"
    folder.mkdir()
    write_documents(folder, ROWS)
    given = {"models": [artifact(tiny, "checkpoint")], "held_out": [artifact(folder, "documents")]}
    out, _ = run_stage(STAGE, given, sample_prompts=0)
    scores = {(s.task, s.language): s for s in read_scores(out)}
    assert {key: (s.metric, s.n) for key, s in scores.items()} == {
        ("held_out", "tha_Thai"): ("bits_per_byte", 3),
        ("held_out_wiki", "tha_Thai"): ("domain_bits_per_byte", 2),
        ("held_out_news_site_2024", "tha_Thai"): ("domain_bits_per_byte", 1),
        ("held_out", "eng_Latn"): ("bits_per_byte", 2),  # both are of one domain
    }
    size = {
        name: sum(len(d.text.encode()) for d in ROWS[:3] if d.source == name) for name in ("wiki", "News Site/2024")
    }
    whole = scores["held_out", "tha_Thai"].value * sum(size.values())
    wiki = scores["held_out_wiki", "tha_Thai"].value * size["wiki"]
    news = scores["held_out_news_site_2024", "tha_Thai"].value * size["News Site/2024"]
    assert whole == pytest.approx(wiki + news, rel=1e-12)
    assert wiki / size["wiki"] != pytest.approx(news / size["News Site/2024"], rel=1e-3)
    asked, values = read_item_values(out)
    for row in asked:
        (mine,) = [v for v in values if (v.task, v.language) == (row.task, row.language)]
        assert mine.prompt_digest == row.prompt_digest == scores[row.task, row.language].prompt_digest
        mean = math.fsum(v * w for v, w in zip(mine.values, row.weights, strict=True)) / sum(row.weights)
        assert mean == pytest.approx(scores[row.task, row.language].value, rel=1e-6)  # values have seven digits
    without, _ = run_stage(STAGE, given, state="without", sample_prompts=0, max_domains=0)
    assert {s.task for s in read_scores(without)} == {"held_out"}


def test_evals_the_largest_domains_are_told():
    rows = documents(*(("eng_Latn", f"s{n}", "", "a" * (10 + n)) for n in range(5)), ("eng_Latn", "", "", "b" * 99))
    assert [part.task for part in parts({"eng_Latn": rows}, 2)] == ["held_out", "held_out_s4", "held_out_unnamed"]
