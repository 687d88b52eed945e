"""Bundled tasks under one name: what a lab of the region asks every checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import RecipeError, did_you_mean

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


def check_tasks(names: Sequence[str]) -> None:
    """RecipeError with the nearest name if one of `names` is no bundled task: said by `plan`, before any model is."""
    if names:
        from .task_file import task_names

        known = task_names()
        for name in names:
            if name not in known:
                raise RecipeError(f"there is no task '{name}'", where="tasks", how=did_you_mean(name, known))
