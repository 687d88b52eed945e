"""Bundled tasks under one name: what a lab of the region asks every checkpoint."""

from __future__ import annotations

SUITES: dict[str, tuple[str, ...]] = {
    "sea": (
        "belebele",
        "flores",
        "global_mmlu_lite",
        "iapp_wiki_qa",
        "indonli",
        "lindsea_syntax",
        "m3exam",
        "mgsm",
        "multijail",
        "nusax_sentiment",
        "sea_safeguard_refusal",
        "seaexam",
        "vmlu",
        "wisesight_sentiment",
        "xcopa",
        "xlsum",
        "xquad",
    ),
    "english": ("gsm8k", "ifeval", "math"),
    "chinese": ("c3_dialogue", "cmmlu"),
}
"""Tasks of a suite, by name. Ours; the published suites are `evals.sea_helm` and a profile of `evals.lm_eval`."""
