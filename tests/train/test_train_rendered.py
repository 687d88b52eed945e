"""Conversations kept on disk give the steps that they gave from memory, are rendered once, and survive a kill."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampan.artifacts.conversations import Conversation
from sampan.core.errors import StageError
from sampan.model.tokenizer import load_tokenizer
from sampan.train.batches import ListBatches, permutation
from sampan.train.dialogues import answer_mask, masked_piece
from sampan.train.rendered import open_rendered

SAID = st.text(st.sampled_from("abz thein กข"), min_size=1, max_size=30)
ROWS = st.lists(st.tuples(st.sampled_from(["tha_Thai", "eng_Latn", ""]), SAID, SAID), min_size=1, max_size=12)


def conversations(said) -> list[Conversation]:
    return [
        Conversation(
            id=str(number),
            language=language,
            messages=[{"role": "user", "content": asked}, {"role": "assistant", "content": answered}],
        )
        for number, (language, asked, answered) in enumerate(said)
    ]


def kept(state: Path, tokenizer, rows, *, context_len=200, loss_on="all"):
    limits = {"context_len": context_len, "loss_on": loss_on, "tell": lambda *told: None}
    return open_rendered(state, lambda _: rows, tokenizer, **limits)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(said=ROWS, context_len=st.integers(8, 80))
def test_the_pieces_are_those_of_the_conversations_in_memory(tiny, said, context_len):
    tokenizer, rows = load_tokenizer(tiny), conversations(said)
    names: dict[str, int] = {}
    expected = []
    for row in rows:
        ids, mask = answer_mask(tokenizer, row.messages, loss_on="all", where=row.id)
        source = names.setdefault(row.language, len(names))
        piece = masked_piece(ids[:context_len], mask[:context_len], source)
        expected += [piece] if piece.trained else []
    with TemporaryDirectory() as state:
        if not expected:
            with pytest.raises(StageError, match="would be trained"):
                kept(Path(state), tokenizer, rows, context_len=context_len)
            return
        found = kept(Path(state), tokenizer, rows, context_len=context_len)
        assert found.names == list(names)
        assert found.lengths.tolist() == [len(piece.ids) for piece in expected]
        for (piece,), other in zip(found, expected, strict=True):
            assert piece.ids.dtype == other.ids.dtype
            assert piece.labels.dtype == other.labels.dtype
            assert np.array_equal(piece.ids, other.ids)
            assert np.array_equal(piece.labels, other.labels)
            assert piece.source == other.source
        size = sum(file.stat().st_size for file in Path(state, "rendered").glob("*.bin"))
        # two bytes and a bit for a token, ten bytes for a conversation
        assert size <= 2.125 * found.lengths.sum() + 10 * len(found) + 1


@settings(max_examples=100)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(1, 90), st.sampled_from([0.3, 1, 2.5]), st.data()
)
def test_steps_are_cut_where_they_always_were(sizes, budget, epochs, data):
    """Against the rule written out: an example belongs to the step in which its middle falls."""
    seed = data.draw(st.integers(0, 5))
    expected, left, epoch = [], max(1, round(epochs * len(sizes))), 0
    while left > 0:
        order = permutation(len(sizes), "list", seed, epoch)[:left]
        size = np.asarray(sizes)[order]
        ends = np.cumsum(size)
        count = -(-int(ends[-1]) // budget)
        step = (2 * ends - size) * count // (2 * int(ends[-1]))
        expected += [order[step == number].tolist() for number in np.unique(step)]
        left, epoch = left - len(order), epoch + 1
    examples = [[masked_piece([1] * size, [1] * size, 0)] for size in sizes]
    found = ListBatches(examples, sizes, budget=budget, epochs=epochs, seed=seed, names=[""], unit="tokens")
    assert [[piece.group for piece in found.at(step)] for step in range(found.steps)] == expected
    assert found.tokens == sum(sizes[number] for numbers in expected for number in numbers)


def test_what_is_kept_is_not_rendered_again_and_a_killed_attempt_is_cleared_away(tiny, tmp_path):
    tokenizer, rows = load_tokenizer(tiny), conversations([("tha_Thai", "the tin", "thin")] * 9)

    def broken():
        yield from rows[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, tokenizer, broken())
    assert not (tmp_path / "rendered").exists()
    assert len(kept(tmp_path, tokenizer, rows)) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rendered", "rendered.lock"]
    assert len(kept(tmp_path, tokenizer, broken())) == 9, "nothing is read"


def _open(folder: Path, state: Path) -> None:
    rows = conversations([("tha_Thai", "the tin", "thin")] * 300)

    def noted():
        with open(state / "read", "a") as file:
            file.write("x")
        yield from rows

    assert len(kept(state, load_tokenizer(folder), noted())) == 300


def test_of_several_processes_one_renders(tiny, tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_open, args=(tiny, tmp_path)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "read").read_text() == "x"
