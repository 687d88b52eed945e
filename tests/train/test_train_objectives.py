"""Losses against published numbers, hand-worked values and finite differences."""

from __future__ import annotations

import math

import pytest
import torch

from sampan.train.objectives import OBJECTIVES
from sampan.train.objectives.pairs import Pairs


def pairs(chosen, rejected, chosen_tokens=1, rejected_tokens=1) -> Pairs:
    def vector(value):
        return torch.as_tensor(value, dtype=torch.float64).reshape(-1)

    return Pairs(vector(chosen), vector(rejected), vector(chosen_tokens), vector(rejected_tokens))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_loads_and_names_its_paper(name):
    import sys

    objective = OBJECTIVES.load(name)
    module = sys.modules[objective.__module__]
    assert objective.__doc__
    assert module.PAPER
    assert module.REVISION >= 1


@pytest.mark.parametrize(
    ("beta", "gamma", "chosen", "rejected", "golden"),
    [(10, 5, -1.0, -1.2, 3.0486), (2, 1, -0.5, -1.5, 0.3133)],  # derived from eq. 6, four decimals
)
def test_simpo_golden_values_do_not_depend_on_length(beta, gamma, chosen, rejected, golden):
    simpo = OBJECTIVES.load("simpo")
    for long in (1, 7):
        loss, metrics = simpo(pairs(long * chosen, 3 * rejected, long, 3), beta=beta, gamma=gamma)
        assert loss.item() == pytest.approx(golden, abs=5e-5)
        assert metrics["accuracy"] == 1


def test_dpo_is_ln2_where_model_and_reference_agree_and_has_the_textbook_value_elsewhere():
    dpo = OBJECTIVES.load("dpo")
    same = pairs([-3.0, -8.0], [-4.0, -2.0])
    assert dpo(same, same, beta=0.1)[0].item() == pytest.approx(2 * math.log(2), rel=1e-12)
    loss, metrics = dpo(pairs(-10.0, -20.0), pairs(-12.0, -17.0), beta=0.5)
    assert loss.item() == pytest.approx(-math.log(1 / (1 + math.exp(-0.5 * (2 + 3)))), rel=1e-12)
    assert metrics["margin"].item() == pytest.approx(2.5)


def test_conservative_dpo_weighs_the_flipped_label():
    dpo = OBJECTIVES.load("dpo")
    now, before = pairs(-10.0, -20.0), pairs(-12.0, -17.0)
    plain, flipped = dpo(now, before, beta=0.5)[0], dpo(pairs(-20.0, -10.0), pairs(-17.0, -12.0), beta=0.5)[0]
    smooth = dpo(now, before, beta=0.5, label_smoothing=0.2)[0]
    assert smooth.item() == pytest.approx(0.8 * plain.item() + 0.2 * flipped.item(), rel=1e-12)


@pytest.mark.parametrize("name", ["dpo", "simpo"])
def test_preference_gradients_match_finite_differences(name):
    generator = torch.Generator().manual_seed(0)
    chosen, rejected, *reference = (torch.randn(3, dtype=torch.float64, generator=generator) * 3 for _ in range(4))
    sizes = torch.tensor([2.0, 5.0, 3.0], dtype=torch.float64)

    def loss(chosen_B, rejected_B):
        now = Pairs(chosen_B, rejected_B, sizes, sizes + 1)
        if name == "dpo":
            return OBJECTIVES.load(name)(now, pairs(*reference), beta=0.3, label_smoothing=0.1)[0]
        return OBJECTIVES.load(name)(now, beta=2.0, gamma=0.7)[0]

    # gradcheck's own tolerance: float64 central differences with a step of 1e-6 err by about 1e-9
    assert torch.autograd.gradcheck(loss, (chosen.requires_grad_(), rejected.requires_grad_()))


def test_cross_entropy_is_the_sum_over_tokens():
    logprobs = torch.tensor([-1.0, -2.5])
    for name in ("causal_lm", "sft"):
        assert OBJECTIVES.load(name)(logprobs)[0].item() == 3.5


@pytest.mark.parametrize("values", [(0.0, -1.0), (-1.0, 0.0), (0.0, 0.0), (-1e-9, 0.0), (-1e4, -1e4)])
@pytest.mark.parametrize("name", ["orpo", "simpo"])
def test_answers_that_are_certain_or_hopeless_have_numbers(name, values):
    """A learnt one-token answer has the probability 1 in float32; one step that is not a number is left out."""
    settings = {"beta": 0.1} if name == "orpo" else {"beta": 2.0, "gamma": 0.5}
    one, ones = torch.ones(1), [torch.tensor([value], requires_grad=True) for value in values]
    loss, _ = OBJECTIVES.load(name)(Pairs(*ones, one, one), **settings)
    assert loss.isfinite()
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(loss, ones))
