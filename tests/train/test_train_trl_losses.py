"""Every preference and distillation loss against TRL's own trainers on the same logits: values and gradients."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import torch

from sampan.train.objectives import OBJECTIVES
from sampan.train.objectives.pairs import Answers, Pairs

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "trl_losses.json").read_text())
IDS, MASK = torch.tensor(GOLDEN["ids"]), torch.tensor(GOLDEN["answers"], dtype=torch.bool)
PAIRS = len(IDS) // 2
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # TRL's ORPO computes in float32


def table(kind: str, which: str) -> torch.Tensor:
    return torch.tensor(GOLDEN[kind][which], dtype=torch.float64)


def sums(logits_BTV: torch.Tensor) -> torch.Tensor:
    """Log-probability of each answer [2 · pairs]."""
    logprobs_BTV = logits_BTV[:, :-1].log_softmax(-1)
    chosen_BT = logprobs_BTV.gather(2, IDS[:, 1:, None])[..., 0]
    return (chosen_BT * MASK[:, 1:]).sum(1)


def our_loss(case: dict, logits_BTV: torch.Tensor) -> torch.Tensor:
    objective, settings = OBJECTIVES.load(case["objective"]), case["settings"]
    wanted = inspect.signature(objective).parameters
    if "student_CV" in wanted:
        known = MASK[:, 1:]
        sides = (logits_BTV[:, :-1][known], table("logits", "reference")[:, :-1][known])
        return objective(*(side.log_softmax(-1) for side in sides)).sum()
    tokens, now, before = MASK.sum(1), sums(logits_BTV), sums(table("logits", "reference"))
    if "answers" in wanted:
        desirable = torch.arange(2 * PAIRS) < PAIRS
        kl = (sums(table("mismatched", "policy")) - sums(table("mismatched", "reference"))).mean()
        assert kl.item() == pytest.approx(case["kl"], rel=1e-6)
        return objective(Answers(now, desirable), Answers(before, desirable), kl, **settings)[0] / (2 * PAIRS)
    policy, reference = (Pairs(*x.split(PAIRS), *tokens.split(PAIRS)) for x in (now, before))
    given = {"reference": reference} if "reference" in wanted else {}
    return objective(policy, **given, **settings)[0] / PAIRS


@pytest.mark.parametrize("case", GOLDEN["losses"], ids=lambda case: case["objective"])
def test_loss_and_gradient_equal_trl(case):
    logits = table("logits", "policy").requires_grad_()
    loss = our_loss(case, logits)
    loss.backward()
    slopes = logits.grad[:, :-1].gather(2, IDS[:, 1:, None])[..., 0] * MASK[:, 1:]
    torch.testing.assert_close(loss.item(), case["loss"], **CLOSE)
    torch.testing.assert_close(slopes, torch.tensor(case["slopes"], dtype=torch.float64), **CLOSE)


def test_every_objective_that_trl_has_is_compared():
    ours = {"causal_lm", "sft"}  # cross-entropy, compared with transformers in test_train_attention.py
    assert {case["objective"] for case in GOLDEN["losses"]} == set(OBJECTIVES) - ours
