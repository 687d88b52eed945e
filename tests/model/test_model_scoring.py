"""Likelihoods equal a forward pass of each text alone, and every token of a document is predicted once."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from sampan.model.scoring import continuations, text_nats

# Sums of a few dozen float32 log-probabilities; batched and single matmuls differ in rounding by about 1e-6 each.
TOLERANCE = 1e-4


def alone(model, context, continuation):
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([context + continuation])).logits[0].log_softmax(-1)
    places = range(len(context) - 1, len(context) + len(continuation) - 1)
    return sum(logits[place, token].item() for place, token in zip(places, continuation, strict=True))


def test_continuations_equal_single_forwards(loaded):
    model, tokenizer = loaded
    pairs = [(tokenizer(a)["input_ids"], tokenizer(b)["input_ids"])
             for a, b in [("the cat", " in"), ("a", "there is water"), ("ไปตลาด", "ไหม"), ("in the", "x")]]  # fmt: skip
    for got, (context, continuation) in zip(continuations(model, pairs, max_batch_tokens=64), pairs, strict=True):
        assert got.logprob == pytest.approx(alone(model, context, continuation), abs=TOLERANCE)
        assert got.tokens == len(continuation)


def test_batch_size_does_not_matter(loaded):
    model, tokenizer = loaded
    pairs = [(tokenizer("the")["input_ids"], tokenizer("cat " * n)["input_ids"]) for n in range(1, 9)]
    small, large = continuations(model, pairs, max_batch_tokens=1), continuations(model, pairs, max_batch_tokens=10_000)
    for a, b in zip(small, large, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=TOLERANCE)


def test_text_nats_add_up_over_windows(loaded):
    """With windows of one predicted token, each token is scored once given the one before it."""
    model, tokenizer = loaded
    ids = [1, *tokenizer("the cat in the water")["input_ids"]]
    by_pairs = sum(-alone(model, ids[n : n + 1], ids[n + 1 : n + 2]) for n in range(len(ids) - 1))
    assert text_nats(partial(continuations, model), [ids], context_len=2)[0] == pytest.approx(by_pairs, abs=TOLERANCE)
    whole = -alone(model, ids[:1], ids[1:])
    assert text_nats(partial(continuations, model), [ids], context_len=64)[0] == pytest.approx(whole, abs=TOLERANCE)
