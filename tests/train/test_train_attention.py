"""Packed documents give what each gives alone: log-probabilities and every gradient, for each family of models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sampan.train.attention import use_packed_attention
from sampan.train.logprobs import token_logprobs
from sampan.train.packing import IGNORE, Layout, Piece, pack, share_prompt, split

FAMILIES = {
    "llama": {},
    "mistral": {"sliding_window": 7},
    "qwen2": {},
    "qwen3": {},
    "gemma": {},
    "gemma2": {"sliding_window": 7, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    "gemma3_text": {"sliding_window": 7, "layer_types": ["sliding_attention", "full_attention"]},
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


def pairs(sizes, seed=0) -> list[tuple[Piece, Piece]]:
    """(prompt, chosen, rejected) lengths; only the answers are trained."""
    rng, out = np.random.default_rng(seed), []
    for prompt, *answers in sizes:
        head = rng.integers(3, 50, prompt)
        sides = []
        for n, length in enumerate(answers):
            ids = np.concatenate([head, [3 + n], rng.integers(3, 50, length - 1)])
            labels = np.append(ids[1:], IGNORE)
            labels[: prompt - 1] = IGNORE
            sides.append(Piece(ids, labels))
        out.append(tuple(sides))
    return out


def mean_answers(model, groups) -> torch.Tensor:
    """Mean log-probability of every answer, in the order of the pieces: every token has its answer's weight."""
    pieces = [piece for group in groups for piece in group]
    batch = pack(pieces)
    found = token_logprobs(model, batch, dtype=torch.float32, uniform=False)
    sums = torch.zeros(len(pieces)).index_add(0, batch.piece_N, found)
    return sums / torch.bincount(batch.piece_N)


PAIRS = {
    "mixed": [(20, 9, 4), (1, 3, 5), (35, 2, 12), (6, 12, 12), (8, 1, 1)],
    "one": [(9, 4, 17)],
    "equal": [(10, 5, 5), (10, 5, 5)],
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sizes", PAIRS.values(), ids=PAIRS)
def test_answers_that_share_a_prompt_equal_separate_ones(family, sizes):
    model = build(family)
    use_packed_attention(model)
    apart = pairs(sizes)
    shared = [(first, share_prompt(first, second)) for first, second in apart]
    assert [second.shared for _, second in shared] == [prompt - 1 for prompt, *_ in sizes]
    results = []
    for groups in (apart, shared):
        model.zero_grad()
        values = mean_answers(model, groups)
        (values * torch.linspace(-1, 2, len(values))).sum().backward()
        results.append((values.detach(), {name: p.grad.clone() for name, p in model.named_parameters()}))
    (expected, expected_grads), (found, grads) = results
    # fp32: the same sums in another order
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for name, grad in expected_grads.items():
        bound = 1e-5 * max(grad.abs().max().item(), 1e-3)
        torch.testing.assert_close(grads[name], grad, rtol=1e-5, atol=bound, msg=name)


def test_a_second_answer_never_sees_the_first():
    model = build("llama")
    use_packed_attention(model)
    ((first, second),) = pairs([(8, 6, 5)])
    other = Piece(np.append(first.ids[:9], first.ids[9:][::-1]), first.labels)
    with torch.no_grad():
        one, two = (mean_answers(model, [(head, share_prompt(head, second))])[1] for head in (first, other))
    assert torch.equal(one, two)


def test_tails_of_one_head_are_refused():
    first, second = pairs([(8, 6, 5)])[0]
    tail = share_prompt(first, second)
    with pytest.raises(ValueError, match="not follow"):
        pack([first, tail, tail])


@given(st.integers(1, 20), st.integers(1, 8), st.integers(1, 8), st.floats(0, 0.5))
def test_what_is_shared_is_common_and_untrained(prompt, chosen, rejected, least):
    first, second = pairs([(prompt, chosen, rejected)])[0]
    tail = share_prompt(first, second, least=least)
    assert tail.shared == (prompt - 1 if prompt - 1 >= least * (len(first.ids) + len(second.ids)) else 0)
    assert (first.ids[: tail.shared] == tail.ids[: tail.shared]).all()
    assert (tail.labels[: tail.shared] == IGNORE).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_gradients_equal_plain_transformers(family):
    """The whole vocabulary's logits of a batch, and the gradients of the cross-entropy of transformers itself."""
    pieces = documents((23, 23))
    ids = torch.from_numpy(np.stack([piece.ids for piece in pieces]))
    plain, ours = build(family), build(family)
    expected = plain(input_ids=ids, labels=ids, use_cache=False)
    expected.loss.backward()
    use_packed_attention(ours)
    batch = pack(pieces)
    positions = batch.positions_T[None]
    found = ours(input_ids=batch.ids_T[None], position_ids=positions, packing=batch.layout, use_cache=False).logits
    scale = expected.logits.abs().max().item()
    # the bar: a relative difference of 1e-5 in fp32
    torch.testing.assert_close(found[0].view_as(expected.logits), expected.logits, rtol=0, atol=1e-5 * scale)
    (-token_logprobs(ours, batch, dtype=torch.float32, uniform=True).mean()).backward()
    for (name, parameter), other in zip(plain.named_parameters(), ours.parameters(), strict=True):
        bound = 1e-5 * max(parameter.grad.abs().max().item(), 1e-3)
        torch.testing.assert_close(other.grad, parameter.grad, rtol=0, atol=bound, msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_document_never_sees_its_neighbour(family):
    model = build(family)
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


def test_rotated_queries_and_plain_values_meet_in_one_number_format():
    """Under autocast rotations give float32 and linear layers bfloat16; pieces this long go to blocks of queries."""
    model, pieces = build("llama"), documents((60, 50))
    use_packed_attention(model)
    whole = token_logprobs(model, pack(pieces), dtype=torch.float32, uniform=True)
    coarse = token_logprobs(model, pack(pieces), dtype=torch.bfloat16, uniform=True)
    # log-probabilities about 4 in numbers of 8 bits
    torch.testing.assert_close(coarse, whole, rtol=0.02, atol=0.05)
    coarse.sum().backward()
