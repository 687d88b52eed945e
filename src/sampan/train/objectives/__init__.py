"""Objectives: pure functions from log-probabilities to (summed loss, summed metrics). One file and one line each."""

from __future__ import annotations

from ...core.registry import Registry

OBJECTIVES = Registry(
    "objective",
    {
        "causal_lm": "sampan.train.objectives.causal_lm:causal_lm",
        "sft": "sampan.train.objectives.sft:sft",
        "dpo": "sampan.train.objectives.dpo:dpo",
        "simpo": "sampan.train.objectives.simpo:simpo",
    },
    group="sampan.objectives",
)
