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
        assert (
            0 <= row.value <= {"points of 10": 10, "fraction": 1, "times English": 20, "tokens": 2e4}.get(row.unit, 100)
        ), row
        assert row.language == "" or row.language[3] == "_", row


def test_evals_published_contradictions_are_both_there():
    assert sorted(find("SeaLLM-7B-v2.5", "gsm8k", "eng_Latn")) == [78.5, 79.0]
    assert sorted(find("SeaLLM-7B-v2", "vmlu", "vie_Latn")) == [45.46, 45.74]
    assert sorted(find("ChatGPT-3.5", "mmlu", "eng_Latn")) == [68.9, 70.0]
    assert sorted(find("SeaLLM-7B-v2.5", "mt_bench", "eng_Latn")) == [7.4, 7.43]


def test_evals_published_contradictions_are_all_those_that_are_known():
    """One row or more for each; the two that are differences of method are tables that say so."""
    thai = {
        model: sorted(find(model, "tokens_beside_english", "tha_Thai"))
        for model in ("Llama-2's tokenizer", "SeaLLM's tokenizer")
    }
    assert thai == {"Llama-2's tokenizer": [4.29, 5.10], "SeaLLM's tokenizer": [1.5739, 1.87]}
    base = sorted(find("Llama-2-13b", "m3exam", "eng_Latn"))
    assert base == [59.88, 61.17]
    assert find("Llama-2-13b-chat", "m3exam", "eng_Latn") == [61.17], "the second row is the chat model's"
    counts = {
        model: sorted(find(model, "vocabulary")) for model in ("SeaLLM-13b-5L", "SeaLLM-13B-v1 (10L)", "SeaLLM-7B-v2")
    }
    assert list(counts.values()) == [[11000, 11136], [16000, 16512], [16384]]
    assert sorted(find("SeaLLMs-v3-7B", "m3exam", "ind_Latn")) == [0.545, 0.549]
    assert sorted(find("ChatGPT-3.5", "hellaswag", "eng_Latn")) == [72.0, 79.5]
    for metric, other in (("chrf", "chrF++"), ("chrf_plus_plus", "chrF")):
        assert any("not comparable with" in row.note and other in row.note for row in ROWS if row.metric == metric)
    assert {row.version.split(",")[0] for row in ROWS if row.task.startswith("sea_bench")} == {
        "Sea-bench (not SeaBench)"
    }
    assert {row.version for row in ROWS if row.task.startswith("seabench")} == {"SeaBench (not Sea-bench, of 2023)"}


def test_evals_published_lengths_differ_by_their_denominator_alone():
    """1.19 is Llama-2's English by ChatGPT's; printed with two decimals, so 1.1 % at most of the smallest ratio."""
    rows = [row for row in ROWS if row.task == "tokens_beside_english"]
    table = {(row.model, row.language): row.value for row in rows if "ChatGPT" in row.version}
    other = {(row.model, row.language): row.value for row in rows if "Llama-2's" in row.version}
    assert len(other) == 10
    for key, value in other.items():
        assert math.isclose(1.19 * value, table[key], rel_tol=0.011), key


def test_evals_published_seabench_scores_are_means_of_turns():
    rows = {(row.model, row.task, row.language): row.value for row in ROWS if row.task.startswith("seabench")}
    for (model, task, language), value in rows.items():
        if task == "seabench" and language:
            turns = [rows[model, f"seabench_turn_{n}", language] for n in (1, 2)]
            assert abs(sum(turns) / 2 - value) < 0.0101, (model, language)  # of rounded figures


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
