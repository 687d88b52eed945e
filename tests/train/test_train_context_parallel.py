"""Documents divided among processes: equal losses and weights, and checkpoints that any other division goes on from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from train_ranks import a_run, check_equal, log, make_family, run_groups, save_pairs

from sampan.core.errors import RecipeError
from sampan.core.identity import digest_tree
from sampan.core.spread import Spread
from sampan.train.context_parallel import cut_rows, share_rows
from sampan.train.distributed import World
from sampan.train.packing import Piece, pack, share_prompt

STEPS = 10
PARAMS = {
    "context_len": 64,
    "micro_batch_tokens": 90,  # which four cuts of equal length do not divide
    "global_batch_tokens": 256,
    "num_tokens": STEPS * 256,
    "lr": 3e-3,
    "eps": 1e-6,  # Adam divides noise by noise where a gradient is zero but for rounding
    "z_loss": 1e-3,
    "ema_decay": 0.5,
    "log_streams": True,
    "held_out_tokens": 300,
    "prompts": ["the tin"],
    "sample_tokens": 3,
}
FAMILIES = ("qwen3", "gemma2")
TWO = {"processes": 2, "context_parallel": 2}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    return save_pairs(tmp_path_factory.mktemp("context-pairs"), [("the " * (n % 4), "a hat") for n in range(8)])


@pytest.fixture(scope="module")
def ran(tiny, shards, pairs, tmp_path_factory) -> Path:
    """Runs of one process; of two that divide documents; and of four that also have two shares of the tokens, or two
    parts of every matrix."""
    folder = tmp_path_factory.mktemp("context")
    families = {family: make_family(family, tiny, folder) for family in FAMILIES}

    def run(name: str, spread: dict, model: Path = tiny, **more) -> dict:
        return a_run(folder, name, {"model": model, "tokens": shards, "held_out": shards}, PARAMS, spread, **more)

    def prefer(name: str, spread: dict) -> dict:
        values = {"context_len": 64, "micro_batch_tokens": 64, "lr": 1e-3, "eps": 1e-6, "global_batch_pairs": 3}
        return a_run(folder, name, {"model": tiny, "preferences": pairs}, values, spread, stage="train.preference")

    broken = {"stop": 256 * 5, "checkpoint_seconds": 0}
    two = [run("two", TWO), run("thrifty", {**TWO, "recompute": 1}), prefer("pairs2", TWO)]
    two += [run(f"{family}2", TWO, model) for family, model in families.items()]
    two += [run(f"broken-{n}", TWO, state=n, **broken) for n in ("one-from2", "again")]
    two += [run("again", TWO)]
    one = [run("one", {}), prefer("pairs1", {}), run("one-from2", {})]
    one += [run(f"{family}1", {}, model) for family, model in families.items()]
    four = [run("four", {**TWO, "processes": 4, "sync": "each"})]
    four += [run("both", {**TWO, "processes": 4, "tensor_parallel": 2})]
    run_groups(folder, [(2, two), (1, one), (4, four)])
    return folder


@pytest.mark.parametrize("name", ["two", "thrifty", "four", "both", "one-from2"])
def test_divided_documents_teach_what_whole_ones_do(ran, weights_of, name):
    """Two processes; with blocks computed again; four, of two kinds; and a checkpoint of two that one goes on from."""
    check_equal(ran / "one", ran / name, weights_of)
    assert log(ran / name)[-1]["samples"]


def test_a_resumed_run_ends_with_the_same_bytes(ran):
    assert digest_tree(ran / "again") == digest_tree(ran / "two")


@pytest.mark.parametrize("family", FAMILIES)
def test_families_with_norms_caps_and_windows(ran, weights_of, family):
    check_equal(ran / f"{family}1", ran / f"{family}2", weights_of)


def test_preferences_are_learnt_alike(ran, weights_of):
    """Also where two answers share a prompt that one of them computes, and a cut lies in any of the three."""
    check_equal(ran / "pairs1", ran / "pairs2", weights_of)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_every_token_is_somewhere_once_and_sees_its_document(size):
    """Token, position, label and piece of each, and the rows whose keys it sees: those of its document up to itself,
    where two answers share a prompt too."""
    dice = np.random.default_rng(size)
    pieces = [Piece(dice.integers(50, size=n), dice.integers(50, size=n)) for n in (7, 1, 30)]
    labels = np.array([-100] * 5 + [7, 8, 9])
    first, second = (Piece(np.array([*range(6), *rest]), labels) for rest in ((6, 7), (8, 9)))
    batch = pack([*pieces, first, share_prompt(first, second)])
    sees = [
        list(range(start, row + 1)) for start, end in ((0, 7), (7, 8), (8, 38), (38, 46)) for row in range(start, end)
    ]
    sees += [[*range(38, 43), *range(46, row + 1)] for row in range(46, 49)]  # five of the prompt's six are shared
    assert len(batch.ids_T) == len(sees)
    rows = cut_rows(len(sees), size)
    assert sorted(rows.ravel().tolist()) == list(range(rows.size))
    assert 0 <= rows.size - len(sees) < 2 * size
    scored = []
    for rank in range(size):
        own, places_n = share_rows(batch, World(rank, size))
        whole_n = torch.from_numpy(rows[rank])[own.index_N]
        assert torch.equal(whole_n, batch.index_N[places_n])
        assert torch.equal(own.labels_N, batch.labels_N[places_n])
        assert torch.equal(own.piece_N, batch.piece_N[places_n])
        assert torch.equal(own.ids_T[own.index_N], batch.ids_T[whole_n])
        assert torch.equal(own.positions_T[own.index_N], batch.positions_T[whole_n])
        scored += places_n.tolist()
        tails = own.layout.tails
        keys = torch.from_numpy(rows.ravel())[own.layout.keys.rows_B][tails.key_rows].split(tails.widths)
        asked = torch.from_numpy(rows[rank]).split(tails.own)
        assert sum(tails.own) == len(own.ids_T)
        for seen, asks in zip(keys, asked, strict=True):
            for before_end, row in enumerate(reversed(asks.tolist())):
                if row < len(sees):
                    assert seen[: len(seen) - before_end].tolist() == sees[row]
    assert sorted(scored) == list(range(len(batch.index_N)))


def test_what_is_divided_twice_must_divide_the_processes():
    with pytest.raises(RecipeError, match="--context-parallel 3 must divide --processes 4"):
        Spread(processes=4, context_parallel=3)
    with pytest.raises(RecipeError, match="/ --tensor-parallel 2"):
        Spread(processes=4, tensor_parallel=2, context_parallel=4)
    with pytest.raises(RecipeError, match="--compile"):
        Spread(processes=2, context_parallel=2, compile=True)
