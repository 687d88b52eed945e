"""What rows share is computed once, and changes no score and no answer."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.model import scoring
from sampan.model.scoring import continuations
from sampan.model.shared_prefix import (
    BIN,
    PADDED,
    SHORT,
    SharedPrefix,
    by_length,
    can_share,
    chunks,
    common,
    distinct_share,
    families,
    lay_out,
)

# Sums of a few dozen float32 log-probabilities; matmuls of another shape round differently by about 1e-6 each.
TOLERANCE = 1e-4
ROWS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=20)


@given(a=st.lists(st.integers(0, 1), max_size=20), b=st.lists(st.integers(0, 1), max_size=20))
def test_common_is_the_longest_common_beginning(a, b):
    length = common(a, b)
    assert a[:length] == b[:length]
    assert length in (len(a), len(b)) or a[length] != b[length]


@settings(deadline=None)
@given(rows=ROWS, tokens=st.integers(1, 40), drop=st.randoms(use_true_random=False))
def test_chunks_hold_every_row_once_behind_a_common_trunk(rows, tokens, drop):
    most = [drop.randrange(len(row)) for row in rows]
    found = list(chunks(rows, most, max_tokens=tokens, max_positions=25))
    assert sorted(n for chunk in found for n in chunk.numbers) == list(range(len(rows)))
    for chunk in found:
        first = rows[chunk.numbers[0]]
        assert all(rows[n][: chunk.trunk] == first[: chunk.trunk] for n in chunk.numbers)
        assert all(chunk.trunk <= most[n] for n in chunk.numbers)
        if len(chunk.numbers) > 1:
            assert sum(len(rows[n]) - most[n] for n in chunk.numbers) <= 25


@settings(deadline=None)
@given(rows=ROWS)
def test_layout_spells_every_row_and_stores_shared_tokens_once(rows):
    rows = sorted(rows)
    layout = lay_out(rows, 0, 1e9)
    for row, (bin_, path) in zip(rows, layout.paths, strict=True):
        assert [layout.ids[bin_][place] for place in path] == row
        assert [layout.positions[bin_][place] for place in path] == list(range(len(row)))
    tree = {tuple(row[:n]) for row in rows for n in range(1, len(row) + 1)}
    assert sum(map(len, layout.ids)) == len(tree)
    assert distinct_share(rows) == pytest.approx(len(tree) / sum(map(len, rows)))


@settings(deadline=None)
@given(rows=ROWS, tokens=st.integers(1, 40))
def test_chunks_by_length_hold_every_row_once(rows, tokens):
    found = list(by_length(rows, 0, max_tokens=tokens))
    assert sorted(n for chunk in found for n in chunk.numbers) == list(range(len(rows)))
    for chunk in found:
        widths = [len(rows[n]) for n in chunk.numbers]
        assert len(widths) == 1 or len(widths) * max(widths) <= tokens


@pytest.mark.parametrize("pairs_per_token", [0.0, 100.0, 1e9])
@settings(deadline=None, max_examples=30)
@given(draw=st.randoms(use_true_random=False))
def test_rows_are_spelled_whatever_sharing_is_worth(pairs_per_token, draw):
    stems = [[n] * draw.randint(0, 400) for n in range(3)]
    rows = sorted([*stems[draw.randrange(3)], 3, *[draw.randrange(4, 9)] * draw.randint(0, 300)] for _ in range(8))
    layout = lay_out(rows, 0, pairs_per_token)
    for row, (bin_, path) in zip(rows, layout.paths, strict=True):
        assert [layout.ids[bin_][place] for place in path] == row
        assert [layout.positions[bin_][place] for place in path] == list(range(len(row)))


def test_long_rows_that_share_little_lie_alone_and_short_ones_together():
    long = [[1, 2, 3, n, *[n] * (BIN + n)] for n in range(4, 8)]
    layout = lay_out(long, 0, 640.0)
    assert [spans for spans in layout.spans if len(spans) != 1] == []
    assert len(layout.ids) == 4
    short = [[1, 2, 3, n] for n in range(4, 8)]
    assert len(lay_out(short, 0, 640.0).ids) == 1
    assert max(map(len, lay_out([row[:5] for row in long], 0, 0.0).ids)) < BIN * PADDED


def test_families_begin_alike_and_the_rest_comes_last():
    draw = random.Random(1)
    blocks = [[draw.randrange(50) for _ in range(3 * SHORT)] for _ in range(2)]
    rows = [[*block, draw.randrange(50), draw.randrange(50)] for block in blocks for _ in range(9)]
    rows += [[draw.randrange(50) for _ in range(SHORT)] for _ in range(5)]
    draw.shuffle(rows)
    found = families(rows, 4)
    assert sorted(n for family in found for n in family) == list(range(23))
    assert sorted(len(family) for family in found[:-1]) == [9, 9]
    assert all(common(rows[family[0]], rows[n]) >= 3 * SHORT for family in found[:-1] for n in family)
    assert len(families(rows, 10)) == 1, "families of nine are too small"
    assert len(families([row[2 * SHORT :] for row in rows], 4)) == 3
    assert len(families([row + [draw.randrange(50) for _ in range(900)] for row in rows], 4)) == 1, "little is shared"


def few_shot_pairs(model, seed: int = 0):
    """Two subjects, each with a block of its own, eight questions each, three choices a question."""
    draw = random.Random(seed)
    top = model.config.vocab_size

    def ids(low, high):
        return [draw.randrange(3, top) for _ in range(draw.randint(low, high))]

    pairs = []
    for _ in range(2):
        block = ids(34, 36)
        for _ in range(8):
            context = block + ids(2, 9)
            pairs += [(context, ids(1, 6)) for _ in range(3)]
    return pairs


@pytest.mark.parametrize("max_tokens", [1, 30, 100_000])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_shared_prefixes_change_no_likelihood(loaded, monkeypatch, max_tokens, attention):
    model, _ = loaded
    pairs = few_shot_pairs(model)
    monkeypatch.setattr(scoring, "WORTH_SHARING", 0.0)
    plain = continuations(model, pairs, max_batch_tokens=512)
    monkeypatch.setattr(scoring, "WORTH_SHARING", 1.0)
    model.set_attn_implementation(attention)
    try:
        assert can_share(model)
        shared = continuations(model, pairs, max_batch_tokens=max_tokens)
    finally:
        model.set_attn_implementation("sdpa")
    for a, b in zip(shared, plain, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=TOLERANCE)
        assert (a.tokens, a.greedy) == (b.tokens, b.greedy)


def test_the_block_is_computed_once(loaded, monkeypatch):
    """Tokens fed to the model: those of the prefix tree, and little more."""
    model, _ = loaded
    pairs = few_shot_pairs(model)
    fed = []
    handle = model.register_forward_pre_hook(
        lambda module, args, kwargs: fed.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    try:
        can_share(model)
        fed.clear()
        continuations(model, pairs, max_batch_tokens=100)
    finally:
        handle.remove()
    whole = sum(len(context) + len(continuation) for context, continuation in pairs)
    assert sum(fed) < 0.5 * whole


def test_states_of_a_row_are_those_of_its_own_pass(loaded):
    model, _ = loaded
    rows = sorted([context for context, _ in few_shot_pairs(model)[:9:3]])
    with torch.inference_mode():
        shared = SharedPrefix(model)
        _, layout, _ = shared.run(rows, 33, lambda n: range(len(rows[n]) - 1, len(rows[n])), max_tokens=64)
        for n, row in enumerate(rows):
            cache = model(input_ids=torch.tensor([row]), use_cache=True).past_key_values
            for layer, (keys, values) in zip(cache.layers, shared.row_states(layout, n), strict=True):
                assert torch.allclose(layer.keys, keys, atol=1e-4)
                assert torch.allclose(layer.values, values, atol=1e-4)


def test_a_model_with_a_sliding_window_takes_the_plain_way(loaded):
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, sliding_window=8,
    )  # fmt: skip
    model = MistralForCausalLM(config).eval()
    assert not can_share(model)
    pairs = [([5, 6, 7, 8], [n]) for n in range(10, 20)]
    assert len(continuations(model, pairs)) == 10
