"""Objectives, one file and one line each: pure functions of log-probabilities.

A preference or token objective gives (summed loss, summed metrics); a divergence for distillation gives one number a
token.
"""

from __future__ import annotations

from ...core.registry import Registry

OBJECTIVES = Registry(
    "objective",
    {
        "causal_lm": "sampan.train.objectives.causal_lm:causal_lm",
        "sft": "sampan.train.objectives.sft:sft",
        "dpo": "sampan.train.objectives.dpo:dpo",
        "dpo_norm": "sampan.train.objectives.dpo_norm:dpo_norm",
        "dpo_robust": "sampan.train.objectives.dpo_robust:dpo_robust",
        "ipo": "sampan.train.objectives.ipo:ipo",
        "apo_zero": "sampan.train.objectives.apo_zero:apo_zero",
        "apo_down": "sampan.train.objectives.apo_down:apo_down",
        "simpo": "sampan.train.objectives.simpo:simpo",
        "orpo": "sampan.train.objectives.orpo:orpo",
        "kto": "sampan.train.objectives.kto:kto",
        "forward_kl": "sampan.train.objectives.forward_kl:forward_kl",
        "reverse_kl": "sampan.train.objectives.reverse_kl:reverse_kl",
        "jensen_shannon": "sampan.train.objectives.jensen_shannon:jensen_shannon",
    },
    group="sampan.objectives",
)
