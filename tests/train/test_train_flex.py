"""FlexAttention under our masks, and scores by blocks of queries, against attention with all scores at once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from sampan.train import explicit_attention, flex
from sampan.train.attention import _explicit, unfit
from sampan.train.packing import IGNORE, Layout, Piece, pack, share_prompt

CASES = {"plain": (None, None), "cap": (2.0, None), "window": (None, 37), "both": (2.0, 150)}


def layout(sizes, *, shares: bool) -> Layout:
    """Documents end to end, or answers of half a prompt's length that share it."""
    if not shares:
        return Layout(sizes)
    rng, pieces = np.random.default_rng(0), []
    for size in sizes:
        prompt, answers = rng.integers(3, 50, size), [rng.integers(50, 90, size // 2 + 1) for _ in range(2)]
        sides = []
        for answer in answers:
            ids = np.concatenate([prompt, answer])
            labels = np.append(ids[1:], IGNORE)
            labels[: size - 1] = IGNORE
            sides.append(Piece(ids, labels, group=len(pieces)))
        pieces += [sides[0], share_prompt(*sides)]
    return pack(pieces).layout


def tensors(packing: Layout, heads: int = 4, groups: int = 2, width: int = 16) -> list[torch.Tensor]:
    rows = packing.tokens + sum(packing.tails.own if packing.tails else [])
    dice = torch.Generator().manual_seed(0)
    return [torch.randn(1, n, rows, width, generator=dice) for n in (heads, groups, groups)]


@pytest.mark.parametrize("shares", [False, True], ids=["documents", "answers"])
@pytest.mark.parametrize(("softcap", "window"), CASES.values(), ids=CASES)
def test_flex_attention_equals_the_explicit_form(softcap, window, shares):
    packing = layout((150, 5, 300, 1, 40), shares=shares)
    given = tensors(packing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is slow where it is not compiled
        found = flex.attend(*given, packing, 0.3, softcap, window)
    # float32, sums in another order
    torch.testing.assert_close(found, _explicit(*given, packing, 0.3, softcap, window), rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=8),
    st.booleans(),
    st.sampled_from([None, 3, 130, 250]),
)
def test_blocks_that_are_left_out_have_nothing_to_see(sizes, shares, window):
    """And those that need no mask see everything. The mask itself, evaluated for all pairs of rows, is the truth."""
    packing = layout(sizes, shares=shares)
    facts = flex.row_facts(packing)
    rows = torch.arange(len(facts[0]))
    sees = flex.mask_of(packing, window).mask_mod(0, 0, rows[:, None], rows[None, :])
    some, whole = flex.block_pairs(facts, window)
    side = flex._BLOCK * len(some)
    padded = torch.zeros(side, side, dtype=torch.bool)
    padded[: len(rows), : len(rows)] = sees
    blocks = padded.view(len(some), flex._BLOCK, len(some), flex._BLOCK).transpose(1, 2).flatten(2)
    assert not (blocks.any(-1).numpy() & ~some).any()
    assert not (whole & ~blocks.all(-1).numpy()).any()
    if len(sizes) == 1 and not shares and window is None:  # nothing is computed in vain
        assert (blocks.any(-1).numpy() == some).all()
        full = len(rows) // flex._BLOCK  # blocks that the document fills
        assert (blocks.all(-1).numpy() == whole)[:full, :full].all()


def test_where_it_cannot_be_used_the_reason_is_told():
    query, key, _ = tensors(Layout([5]))
    why = flex.detect("cpu", torch.float32, heads=4, groups=2, width=16, softcap=3.0, explicit=_explicit)
    assert why  # no backward pass on a CPU, no compiler, or no such attention
    assert not flex.usable(query, key, 3.0)
    assert not flex.usable(query, key, 4.0)


def test_a_kernel_that_would_be_called_wrongly_is_told_apart():
    def old(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False, return_aux=None, *, scale=None):
        raise AssertionError

    def turned(query, key, value, max_q, max_k, cu_seq_q, cu_seq_k, *, scale, window_size, enable_gqa):
        raise AssertionError

    def known(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None, window_size=(-1, -1), enable_gqa=0):
        raise AssertionError

    assert "without window_size, enable_gqa" in unfit(old)
    assert "orders its arguments otherwise" in unfit(turned)
    assert unfit(known) == ""


class Largest(TorchDispatchMode):
    """The most numbers of any tensor that is made."""

    most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.most = max(self.most, tensor.numel())
        return out


@pytest.mark.parametrize("window", [None, 100])
def test_scores_by_blocks_are_the_same_and_never_all_there(monkeypatch, window):
    packing, length = Layout([1500]), 1500
    results = []
    for size in (10_000, 256):
        monkeypatch.setattr(explicit_attention, "_QUERIES", size)
        given = [x.requires_grad_() for x in tensors(packing)]
        with Largest() as largest:
            out = _explicit(*given, packing, None, 2.0, window)
            grads = torch.autograd.grad(out.square().sum(), given)
        results.append((out, *grads))
        share = 1 if size > length else (256 / length if window is None else 256 * 355 / length**2)
        assert largest.most <= max(4 * length**2 * share, 4 * 16 * length)
    for one, other in zip(*results, strict=True):
        # float32 sums in another order
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
