"""Several processes train what one trains: equal losses and weights, checkpoints that any number of them can read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from train_ranks import a_run, run_groups, save_pairs

from sampan.core.errors import StageError
from sampan.core.identity import digest_tree
from sampan.core.spread import Spread
from sampan.core.stage import Runtime
from sampan.train.causal_lm import STAGE as CAUSAL_LM
from sampan.train.distributed import World, deal, join, turns
from sampan.train.packing import Piece
from sampan.train.resume import Keeper, Progress, latest

STEPS = 24
PARAMS = {
    "context_len": 32,
    "micro_batch_tokens": 64,
    "global_batch_tokens": 256,
    "num_tokens": STEPS * 256,
    "lr": 3e-3,
    "eps": 1e-6,  # Adam divides noise by noise where a gradient is zero but for rounding
}
PAIRS = {"context_len": 64, "micro_batch_tokens": 128, "lr": 1e-3, "eps": 1e-6, "epochs": 4, "global_batch_pairs": 5}
FEATURES = {
    "num_tokens": 256 * 8,
    "z_loss": 1e-3,
    "ema_decay": 0.5,
    "embeddings_first": 2,
    "moments": "bfloat16",
    "log_streams": True,
    "held_out_tokens": 500,
    "prompts": ["the tin", "a"],
    "sample_tokens": 4,
    "rewind_steps": 3,
    "spike_deviations": 20,
}
ADAPTERS = {"num_tokens": 256 * 8, "lora_rank": 2, "dora": True, "new_rows_from": 300, "keep_adapter": True}
ADAPTERS |= {"train_only": ["*norm*"]}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    words = ["the tin", "a thin hat", "in the tent"]
    rows = [(words[n % 3], "a hat" * (1 + n % 2)) for n in range(10)]
    return save_pairs(tmp_path_factory.mktemp("pairs"), rows)


@pytest.fixture(scope="module")
def ran(tiny, shards, pairs, tmp_path_factory) -> Path:
    """Runs of one, two and four processes; returns their folder."""
    folder = tmp_path_factory.mktemp("ranks")

    def run(name: str, size: int, spread=None, params=None, **more) -> dict:
        inputs = {"model": tiny, "tokens": shards, **more.pop("inputs", {})}
        spread = {"processes": size, **(spread or {})}
        return a_run(folder, name, inputs, {**PARAMS, **(params or {})}, spread, **more)

    def prefer(name: str, size: int) -> dict:
        inputs = {"model": tiny, "preferences": pairs}
        return a_run(folder, name, inputs, PAIRS, {"processes": size}, stage="train.preference")

    def distil(name: str, size: int, top_k: int) -> dict:
        inputs = {"model": tiny, "teacher": tiny, "tokens": shards}
        params = {**PARAMS, "num_tokens": 256 * 6, "teacher_share": 0.5, "top_k": top_k}
        return a_run(folder, name, inputs, params, {"processes": size}, stage="train.distil")

    rows = {"train_only": ["*embed_tokens*"], "new_rows_from": 300, "num_tokens": 1024}

    def featured(name: str, size: int) -> dict:
        return run(name, size, params=FEATURES, inputs={"held_out": shards})

    broken = {"stop": 256 * 10, "checkpoint_seconds": 0}
    two = [
        run("two", 2),
        run("broken1", 2, state="from2", **broken),
        run("broken2", 2, state="four-from2", **broken),
        run("broken3", 2, state="again", **broken),
        run("again", 2),
        run("thrifty", 2, spread={"recompute": 1, "sync": "each"}),
        run("rows2", 2, params=rows),
        prefer("pairs2", 2),
        featured("features2", 2),
        run("adapters2", 2, params=ADAPTERS),
        distil("distil2", 2, 0),
        distil("distil-top2", 2, 8),
    ]
    one = [run("one", 1), run("from2", 1), run("rows1", 1, params=rows), prefer("pairs1", 1)]
    one += [featured("features1", 1), run("adapters1", 1, params=ADAPTERS)]
    one += [distil("distil1", 1, 0), distil("distil-top1", 1, 8)]
    dies = [run("killed", 2, die=256 * 13, checkpoint_seconds=0)]
    run_groups(folder, [(2, dies), (2, [*two, run("killed", 2)]), (1, one), (4, [run("four-from2", 4)])])
    return folder


def column(folder: Path, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (folder / "train_log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ["two", "from2", "four-from2", "thrifty"])
def test_any_number_of_processes_trains_the_same(ran, weights_of, name):
    """Two processes; saved by two and gone on with by one and by four; with blocks computed again."""
    assert len(column(ran / name, "loss")) == STEPS
    assert column(ran / name, "loss") == pytest.approx(column(ran / "one", "loss"), rel=1e-5)
    # a norm is the root of a sum of squares in another order, of gradients that differ by rounding
    assert column(ran / name, "grad_norm") == pytest.approx(column(ran / "one", "grad_norm"), rel=1e-4)
    one, many = weights_of(ran / "one"), weights_of(ran / name)
    assert one.keys() == many.keys()
    for key, tensor in one.items():
        torch.testing.assert_close(many[key], tensor, rtol=1e-5, atol=1e-5)


def test_two_processes_resume_to_the_same_bytes(ran):
    assert digest_tree(ran / "again") == digest_tree(ran / "two")


def test_one_of_two_killed_costs_the_step_that_was_under_way(ran):
    """Rank 1 gets a SIGKILL after step 13, while the other one waits for it; checkpoints come after every step."""
    assert int((ran / "killed.first").read_text()) in (256 * 13, 256 * 14)
    assert digest_tree(ran / "killed") == digest_tree(ran / "two")


def test_preferences_and_chosen_rows_are_learnt_alike(ran, tiny, weights_of):
    assert column(ran / "pairs2", "loss") == pytest.approx(column(ran / "pairs1", "loss"), rel=1e-5)
    assert column(ran / "pairs2", "loss")[-1] < column(ran / "pairs2", "loss")[0]
    before, one, two = (weights_of(folder) for folder in (tiny, ran / "rows1", ran / "rows2"))
    embedding = "model.embed_tokens.weight"
    torch.testing.assert_close(two[embedding], one[embedding], rtol=1e-5, atol=1e-5)
    assert torch.equal(two[embedding][:300], before[embedding][:300])
    assert not torch.equal(two[embedding][300:], before[embedding][300:])
    assert all(torch.equal(two[name], before[name]) for name in before if name != embedding)


@pytest.mark.parametrize("name", ["distil", "distil-top"])
def test_a_teacher_is_learnt_from_alike(ran, name):
    for what in ("loss", "divergence"):
        # a divergence begins at rounding above 0, since the teacher is what is taught
        assert column(ran / f"{name}2", what) == pytest.approx(column(ran / f"{name}1", what), rel=1e-5, abs=1e-6)
    one, two = (sorted((ran / f"{name}{n}-state").glob("top-*")) for n in (1, 2))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert len(one) == (6 if name == "distil-top" else 0)


def test_watching_averages_and_adapters_work_on_divided_weights(ran, weights_of):
    log1, log2 = (
        [json.loads(line) for line in (ran / f"features{n}" / "train_log.jsonl").read_text().splitlines()]
        for n in (1, 2)
    )
    for one, two in zip(log1, log2, strict=True):
        assert one.keys() == two.keys()
        assert one.get("samples") == two.get("samples")
        for name in {"held_out", "stream_loss"} & one.keys():
            assert two[name] == pytest.approx(one[name], rel=1e-4)
    assert {"held_out", "samples"} <= log2[-1].keys()
    # a moment in bfloat16 may be rounded to either side: 2^-8 of an update of 3e-3, eight times
    for name, close in (("features", 1e-4), ("adapters", 1e-4)):
        one, two = weights_of(ran / f"{name}1"), weights_of(ran / f"{name}2")
        for key, tensor in one.items():
            torch.testing.assert_close(two[key], tensor, rtol=1e-3, atol=close)
    one, two = (load_file(ran / f"adapters{n}" / "adapter" / "adapter_model.safetensors") for n in (1, 2))
    assert any("embed_tokens" in key for key in one), "what is trained beside the adapters is kept with them"
    assert one.keys() == two.keys()


def piece(length: int, group: int = -1, trained: bool = True) -> Piece:
    return Piece(np.zeros(length, np.int64), np.full(length, 1 if trained else -100), group=group)


@pytest.mark.parametrize("hands", [1, 2, 3, 8])
def test_every_piece_is_dealt_once_and_loads_are_even(hands):
    lengths = np.random.default_rng(0).integers(1, 200, 120)
    pieces = [piece(int(n), group=i // 2) for i, n in enumerate(lengths)]
    dealt = deal(pieces, hands, linear=50)
    assert sorted(id(p) for hand in dealt for p in hand) == sorted(map(id, pieces))
    assert not any({p.group for p in a} & {p.group for p in b} for a in dealt for b in dealt if a is not b)
    loads = [sum(len(p.ids) * (50 + len(p.ids)) for p in hand) for hand in dealt]
    assert max(loads) < 1.05 * sum(loads) / hands  # sixty groups, dearest first


def test_processes_take_equally_many_turns_and_each_piece_counts_once():
    pieces = [piece(30), piece(20), piece(50), piece(10, trained=False), piece(5)]
    hands = [turns(pieces, World(rank, 3), micro_batch_tokens=40, linear=10) for rank in range(3)]
    assert len({len(hand) for hand in hands}) == 1
    counted = [id(p) for hand in hands for turn in hand if turn.counts for p in turn.pieces if p.trained]
    assert sorted(counted) == sorted(id(p) for p in pieces if p.trained)
    assert all([turn.last for turn in hand] == [False] * (len(hand) - 1) + [True] for hand in hands)
    alone = turns([piece(9)], World(1, 2), micro_batch_tokens=40, linear=10)
    assert [turn.counts for turn in alone] == [False]


@pytest.fixture
def small():
    model = torch.nn.Linear(3, 5)
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.ones(3)).sum().backward()
    optimiser.step()
    return model, optimiser


@pytest.mark.parametrize("background", [False, True])
def test_a_checkpoint_comes_back_whole_and_half_of_one_does_not_count(small, tmp_path, background):
    model, optimiser = small
    keeper = Keeper(tmp_path, background=background)
    keeper.save(model, optimiser, Progress(step=3))
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    moments = optimiser.state[model.weight]["exp_avg"].clone()
    with torch.no_grad():
        model.weight.add_(1)  # while it is written
    keeper.finish()
    half = tmp_path / "step-000000009"
    half.mkdir()
    (half / "00000-of-00002.safetensors").write_bytes(b"")
    (half / "00000-of-00001.safetensors.part").write_bytes(b"cut")
    fresh = torch.nn.Linear(3, 5)
    other = torch.optim.AdamW(fresh.parameters())
    assert Keeper(tmp_path).load(fresh, other).step == 3
    assert all(torch.equal(fresh.state_dict()[name], kept[name]) for name in kept) or not background
    assert torch.equal(other.state[fresh.weight]["exp_avg"], moments)
    assert float(other.state[fresh.weight]["step"]) == 1
    assert not half.exists()


def test_a_long_log_does_not_make_the_header_longer(small, tmp_path):
    """safetensors writes no header above 100 MB: 300,000 rows with eleven streams."""
    sizes = []
    for count in (9_000, 10):
        rows = [{"step": number, "loss": 1.0} for number in range(count)]
        Keeper(tmp_path).save(*small, Progress(step=1, rows=rows))
        (file,) = latest(tmp_path).iterdir()
        sizes.append(int.from_bytes(file.read_bytes()[:8], "little"))
        assert Keeper(tmp_path).load(*small).rows == rows
    assert sizes[0] - sizes[1] < 100  # digits of a shape and of places


@pytest.mark.parametrize("background", [False, True])
def test_a_full_disk_leaves_the_checkpoint_before_it(small, tmp_path, monkeypatch, background):
    import safetensors.torch

    model, optimiser = small
    keeper = Keeper(tmp_path, background=background)
    keeper.save(model, optimiser, Progress(step=1))
    keeper.finish()

    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        keeper.save(model, optimiser, Progress(step=2)) or keeper.finish()
    assert latest(tmp_path).name == "step-000000001"
    assert not list(tmp_path.rglob("*.part"))


def test_a_launcher_that_starts_another_number_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(StageError, match=r"3 processes were asked for.*RANK=0 of WORLD_SIZE=2"):
        join(Runtime(out=tmp_path, state=tmp_path, spread=Spread(processes=3)))


@pytest.mark.slow
def test_compiled_blocks_learn_the_same(tiny, shards, run_stage):
    given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [shards])}
    values = {**PARAMS, "num_tokens": 1024}
    plain, compiled = (
        run_stage(CAUSAL_LM, given, str(on), spread=Spread(compile=on), **values)[1] for on in (False, True)
    )
    assert column(compiled, "loss") == pytest.approx(column(plain, "loss"), rel=1e-5)
