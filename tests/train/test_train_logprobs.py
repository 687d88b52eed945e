"""Chunked log-probabilities and their gradients against plain log-softmax."""

from __future__ import annotations

import pytest
import torch

from sampan.train import logprobs
from sampan.train.logprobs import linear_logprobs


def _plain(hidden, weight, labels, cap):
    logits = hidden @ weight.t()
    if cap:
        logits = torch.tanh(logits / cap) * cap
    return logits.log_softmax(-1).gather(1, labels[:, None])[:, 0]


@pytest.mark.parametrize("cap", [None, 3.0])
@pytest.mark.parametrize("uniform", [True, False])
def test_values_and_gradients_equal_the_plain_ones(cap, uniform, monkeypatch):
    monkeypatch.setattr(logprobs, "_CHUNK_BYTES", 1)  # the smallest chunk, 16 rows: three of them
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(*shape, generator=generator) for shape in ((37, 8), (50, 8)))
    labels = torch.randint(50, (37,), generator=generator)
    factor = torch.full((37,), -0.3) if uniform else torch.randn(37, generator=generator)
    found, expected = [], []
    for function, out in ((linear_logprobs, found), (_plain, expected)):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        options = {"cap": cap, "uniform": uniform} if function is linear_logprobs else {"cap": cap}
        values = function(h, w, labels, **options)
        (values * factor).sum().backward()
        out += [values.detach(), h.grad, w.grad]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)  # fp32 sums of 50 terms in another order


def test_a_broken_promise_of_uniform_weights_is_noticed():
    hidden, weight = torch.randn(4, 3, requires_grad=True), torch.randn(5, 3)
    values = linear_logprobs(hidden, weight, torch.tensor([0, 1, 2, 3]), uniform=True)
    with pytest.raises(RuntimeError, match="uniform"):
        (values * torch.tensor([1.0, 1.0, 1.0, 2.0])).sum().backward()


def test_a_frozen_head_gets_no_gradient():
    hidden, weight = torch.randn(4, 3, requires_grad=True), torch.randn(5, 3)
    linear_logprobs(hidden, weight, torch.tensor([0, 1, 2, 3]), uniform=True).sum().backward()
    assert weight.grad is None
    assert hidden.grad.abs().sum() > 0
