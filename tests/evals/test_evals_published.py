"""Published figures: what the file says of itself, and figures that are known from elsewhere."""

from __future__ import annotations

import math

from sampan.evals.published import plain_name, published

ROWS = published()


def find(model: str, task: str, language: str = "") -> list[float]:
    return [row.value for row in ROWS if (row.model, row.task, row.language) == (model, task, language)]


def test_evals_published_rows_are_whole():
    assert len(ROWS) > 500
    for row in ROWS:
        assert row.source, row
        assert row.version, row
        assert math.isfinite(row.value), row
        assert 0 <= row.value <= (10 if row.unit == "points of 10" else 100), row
        assert row.language == "" or row.language[3] == "_", row


def test_evals_published_contradictions_are_both_there():
    assert sorted(find("SeaLLM-7B-v2.5", "gsm8k", "eng_Latn")) == [78.5, 79.0]
    assert sorted(find("SeaLLM-7B-v2", "vmlu", "vie_Latn")) == [45.46, 45.74]
    assert sorted(find("ChatGPT-3.5", "mmlu", "eng_Latn")) == [68.9, 70.0]
    assert sorted(find("SeaLLM-7B-v2.5", "mt_bench", "eng_Latn")) == [7.4, 7.43]


def test_evals_published_average_is_marked():
    rows = [row for row in ROWS if row.metric == "published_average"]
    assert len(rows) == 16
    assert all("no rule" in row.note for row in rows)


def test_evals_published_ifeval_figures_are_counts_of_their_denominator():
    """Every figure of SEA-LION's Table 1 is a whole number of answers out of n: a check of both."""
    rows = [row for row in ROWS if row.task == "sea_ifeval"]
    assert len(rows) == 48
    for row in rows:
        right = row.value * row.n / 100
        assert abs(right - round(right)) < 0.006, row  # two decimals of a percentage of 105


def test_evals_published_names():
    assert plain_name("SeaLLMs/SeaLLM-7B-v2.5") == plain_name("seallm_7b_v2.5") == "seallm7bv25"
