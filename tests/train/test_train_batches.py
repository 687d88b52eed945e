"""Batches: a pure function of the step, exact shares, and no token lost or trained twice."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.artifacts.tokens import read_tokens
from sampan.core.errors import RecipeError
from sampan.train.batches import ListBatches, ShardBatches, Stream
from sampan.train.causal_lm import make_batches, open_streams
from sampan.train.mixture import Mixture, make_mixture
from sampan.train.packing import IGNORE, Piece


def open_batches(folder, *, steps, size, context_len=16, phases=(), seed=0) -> ShardBatches:
    view = read_tokens(folder)
    streams = [Stream(view, name, name=f"0/{name}", seed=seed) for name in view.stream_names]
    sizes = {stream.name: stream.tokens for stream in streams}
    mixture = make_mixture(phases, sizes, steps=steps, tokens_per_step=size)
    return ShardBatches(streams, mixture, steps=steps, context_len=context_len)


def flat(pieces) -> list[tuple]:
    return [(p.source, *p.ids.tolist(), *p.labels.tolist()) for p in pieces]


def test_a_step_does_not_depend_on_what_was_asked_before(shards):
    in_order = open_batches(shards, steps=40, size=100)
    steps = [flat(in_order.at(t)) for t in range(40)]
    for t in (39, 3, 20):
        assert flat(open_batches(shards, steps=40, size=100).at(t)) == steps[t]
    other = open_batches(shards, steps=40, size=100, seed=1)
    assert flat(other.at(3)) != steps[3]


def test_one_epoch_holds_every_token_and_predicts_all_but_the_first_of_each_document(shards):
    view = read_tokens(shards)
    total = view.index["tokens"]
    batches = open_batches(shards, steps=1, size=total)
    seen, predicted = Counter(), Counter()
    for size in (total, 97):
        batches = open_batches(shards, steps=-(-total // size), size=size)
        pieces = [p for t in range(batches.steps) for p in batches.at(t)]
        assert max(len(p.ids) for p in pieces) == 16
        if size == total:
            for piece in pieces:
                seen.update(piece.ids.tolist())
                predicted.update(piece.labels[piece.labels != IGNORE].tolist())
    assert seen == Counter(np.asarray(view.ids).tolist())
    firsts = Counter(int(view.ids[start]) for start in view.offsets[:-1])
    assert predicted == seen - firsts


@pytest.mark.parametrize("size", [7, 97, 128])
@pytest.mark.parametrize("phases", [[], [(0.5, {"tha_Thai": 2, "eng_Latn": 1}), (1.0, {"eng_Latn": 1})]])
def test_the_tail_is_carried_dropped_or_a_shorter_step(shards, size, phases):
    streams, wanted = open_streams([read_tokens(shards)], seed=0), 7 * 97 * 3 + 5
    settings_ = SimpleNamespace(num_tokens=wanted, global_batch_tokens=size, context_len=16)
    whole, rest = divmod(wanted, size)
    assert rest
    for tail, sizes in {
        "carry": [size] * (whole + 1),
        "drop": [size] * whole,
        "pad": [size] * whole + [rest],
    }.items():
        batches = make_batches(streams, phases, settings_, tail=tail)
        steps = [batches.at(t) for t in range(batches.steps)]
        assert [sum(len(piece.ids) for piece in step) for step in steps] == sizes
        assert batches.tokens == sum(sizes)


def test_padded_every_token_is_trained_on_once(shards):
    view = read_tokens(shards)
    settings_ = SimpleNamespace(num_tokens=0, global_batch_tokens=97, context_len=16)
    assert view.index["tokens"] % 97
    batches = make_batches(open_streams([view], seed=0), [], settings_, tail="pad")
    pieces = [piece for t in range(batches.steps) for piece in batches.at(t)]
    seen = Counter(token for piece in pieces for token in piece.ids.tolist())
    predicted = Counter(token for piece in pieces for token in piece.labels[piece.labels != IGNORE].tolist())
    assert seen == Counter(np.asarray(view.ids).tolist())
    assert predicted == seen - Counter(int(view.ids[start]) for start in view.offsets[:-1])


def test_dropping_a_tail_that_is_all_there_is_is_refused(shards):
    settings_ = SimpleNamespace(num_tokens=10, global_batch_tokens=97, context_len=16)
    with pytest.raises(RecipeError, match="do not fill one step"):
        make_batches(open_streams([read_tokens(shards)], seed=0), [], settings_, tail="drop")


def test_labels_are_the_following_tokens_of_the_same_document(shards):
    view = read_tokens(shards)
    lines = {tuple(view.document(n)[0].tolist()) for n in range(len(view))}
    text = [",".join(map(str, line)) + "," for line in lines]
    for piece in open_batches(shards, steps=20, size=97).at(11):
        known = piece.ids.tolist() + ([int(piece.labels[-1])] if piece.labels[-1] != IGNORE else [])
        assert (piece.labels[:-1] == piece.ids[1:]).all()
        assert any(",".join(map(str, known)) + "," in line for line in text)


def test_untrained_tokens_have_no_label(make_shards, tmp_path):
    folder = make_shards(tmp_path / "t", {"eng_Latn": [[1, 10, 11, 12]]}, masks={"eng_Latn": [[0, 0, 1, 0]]})
    (piece,) = open_batches(folder, steps=1, size=4).at(0)
    assert piece.labels.tolist() == [IGNORE, 11, IGNORE, IGNORE]


def test_mixture_shares_are_exact_to_a_token_in_each_phase(shards):
    phases = [(0.5, {"tha_Thai": 3, "eng_Latn": 1}), (1.0, {"eng_Latn": 1})]
    batches = open_batches(shards, steps=40, size=101, phases=phases)
    count = Counter()
    for t in range(40):
        for piece in batches.at(t):
            count[t >= 20, batches.names[piece.source]] += len(piece.ids)
    # cumulative cuts are rounded down, so a stream is off by less than one token
    assert abs(count[False, "0/tha_Thai"] - 0.75 * 20 * 101) < 1
    assert count[True, "0/tha_Thai"] == 0
    assert count[True, "0/eng_Latn"] == 20 * 101


@given(
    st.lists(st.floats(0.05, 1), min_size=1, max_size=6),
    st.integers(200, 5000),
    st.integers(0, 10**9),
)
def test_every_step_has_its_size_and_no_stream_goes_back(weights, size, step):
    mixture = Mixture([(0, weights), (7, weights[::-1])], size)
    before, after = mixture.before(step), mixture.before(step + 1)
    assert sum(before) == step * size
    assert sum(after) - sum(before) == size
    assert all(b >= a for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("phases", "says"),
    [
        ([(1.0, {"tha_Tha": 1})], "Did you mean 'tha_Thai'"),
        ([(1.0, {"tha_Thai": 1, "0/*": 1})], "weighted by both"),
        ([(0.5, {"tha_Thai": 1})], "ends at 0.5"),
        ([(1.0, {"tha_Thai": -1})], "negative"),
        ([(1.0, {"tha_Thai": 0})], "every weight is 0"),
        ([(1.0, {"tha_Thai": 1, "eng_Latn": 1e-4})], "less than 2 tokens"),
        ([(0.6, {"tha_Thai": 1}), (0.5, {"tha_Thai": 1})], "above 0.6"),
    ],
)
def test_a_wrong_mixture_is_refused(shards, phases, says):
    with pytest.raises(RecipeError, match=says.replace("(", r"\(")):
        open_batches(shards, steps=10, size=100, phases=phases)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 60), st.sampled_from([0.5, 1, 2, 2.5]))
def test_lists_show_every_example_once_an_epoch_in_whole(sizes, budget, epochs):
    pieces = [[Piece(np.zeros(n, np.int64), np.zeros(n, np.int64))] for n in sizes]
    batches = ListBatches(pieces, sizes, budget=budget, epochs=epochs, seed=0, names=[""], unit="tokens")
    steps = [batches.at(t) for t in range(batches.steps)]
    count = Counter(p.group for step in steps for p in step)
    assert sum(count.values()) == max(1, round(epochs * len(sizes)))
    assert max(count.values()) - min(count.get(n, 0) for n in range(len(sizes))) <= 1
    assert all(steps)
    # a step is cut where examples' middles fall, so it may exceed the budget by half an example at each end
    assert all(sum(len(p.ids) for p in step) <= budget + max(sizes) for step in steps)
