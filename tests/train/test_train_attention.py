"""Packed documents give what each gives alone: log-probabilities and every gradient, for each family of models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sampan.train.attention import use_packed_attention
from sampan.train.logprobs import token_logprobs
from sampan.train.packing import IGNORE, Layout, Piece, pack, split

FAMILIES = {
    "llama": {},
    "mistral": {"sliding_window": 7},
    "qwen2": {},
    "qwen3": {},
    "gemma": {},
    "gemma2": {"sliding_window": 7, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
}


def build(family: str):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        family,
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.2,
        attn_implementation="eager",
        **FAMILIES[family],
    )
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def documents(lengths, seed=0) -> list[Piece]:
    rng = np.random.default_rng(seed)
    out = []
    for length in lengths:
        ids = rng.integers(3, 50, length)
        out.append(Piece(ids, np.append(ids[1:], IGNORE)))
    return out


def alone(model, pieces) -> torch.Tensor:
    """Plain log-probabilities of each document by itself, with the model's own attention."""
    out = []
    for piece in pieces:
        ids = torch.from_numpy(piece.ids)
        logits = model(input_ids=ids[None], use_cache=False).logits[0]
        out.append(logits[:-1].log_softmax(-1).gather(1, ids[1:, None])[:, 0])
    return torch.cat(out)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lengths", [(5, 30, 1, 12, 29, 3, 5), (11, 11, 11)], ids=["mixed", "equal"])
def test_packed_equals_one_by_one(family, lengths):
    model, pieces = build(family), documents(lengths)
    expected = alone(model, pieces)
    (-expected.sum()).backward()
    expected_grads = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    use_packed_attention(model)
    found = token_logprobs(model, pack(pieces), dtype=torch.float32, uniform=True)
    # fp32: the same sums in another order; 1e-5 of the largest value is ~100 units of the last place
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    (-found.sum()).backward()
    for name, parameter in model.named_parameters():
        scale = expected_grads[name].abs().max().item()
        torch.testing.assert_close(
            parameter.grad, expected_grads[name], rtol=1e-5, atol=1e-5 * max(scale, 1e-3), msg=name
        )


def test_a_document_never_sees_its_neighbour():
    model = build("llama")
    use_packed_attention(model)
    first, second = documents((9, 14))
    other = documents((9,), seed=5)[0]
    with torch.no_grad():
        one, two = (
            token_logprobs(model, pack([head, second]), dtype=torch.float32, uniform=False)[8:]
            for head in (first, other)
        )
    assert torch.equal(one, two)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=40))
def test_buckets_hold_every_token_once_and_waste_little(lengths):
    layout = Layout(lengths)
    gather, scatter = layout.gather_P.numpy(), layout.scatter_T.numpy()
    assert np.array_equal(gather[scatter], np.arange(sum(lengths)))
    assert len(np.unique(scatter)) == sum(lengths)
    assert sum(b.pieces * b.width for b in layout.buckets) == len(gather)
    # a piece is padded by at most 8 tokens or an eighth of its bucket's width, whichever is more
    assert len(gather) <= sum(max(n + 8, n / 0.875) for n in lengths)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 200))
def test_micro_batches_keep_every_piece_within_the_limit(lengths, limit):
    pieces = documents(lengths)
    parts = split(pieces, limit)
    assert sorted(id(p) for part in parts for p in part) == sorted(map(id, pieces))
    assert all(len(part) == 1 or sum(len(p.ids) for p in part) <= limit for part in parts)


def test_groups_stay_together_and_in_order():
    pieces = [Piece(p.ids, p.labels, group=n // 2) for n, p in enumerate(documents([3, 50, 20, 20, 9, 1]))]
    for part in split(pieces, 40):
        for left, right in zip(part[0::2], part[1::2], strict=True):
            assert left.group == right.group
            assert pieces[2 * left.group] is left
