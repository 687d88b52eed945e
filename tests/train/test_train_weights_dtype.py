"""Weights in bfloat16 train as float32 ones do, and plain rounding does not; moments in 8 bits follow AdamW's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from train_ranks import a_run, run_groups

from sampan.train.causal_lm import STAGE
from sampan.train.int8_moments import blocks_of, decode, encode
from sampan.train.masters import dice_of, exact, join, rounded_by_chance, split
from sampan.train.moments import open_adamw
from sampan.train.settings import Optimisation

VALUES = {"context_len": 32, "micro_batch_tokens": 128, "lr": 3e-3, "eps": 1e-8, "global_batch_tokens": 256}
BRAIN = {"weights_dtype": "bfloat16"}


@given(
    st.lists(
        st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**120), max_value=2.0**120),
        min_size=1,
    )
)
def test_both_halves_are_the_float32_number(values):
    numbers = torch.tensor(values)
    high, low = split(numbers)
    assert torch.equal(join(high, low), numbers)
    nearest = (numbers.bfloat16().double() - numbers).abs()
    assert torch.equal((high.double() - numbers).abs(), nearest)  # ties may go to either side


def test_rounding_by_chance_is_right_in_the_mean():
    numbers = torch.linspace(1, 1.01, 50)
    rolls = torch.stack([rounded_by_chance(numbers, dice_of(numbers.device, 7, n)).float() for n in range(4000)])
    step = 2.0**-7
    # the mean of 4,000 rolls has a deviation of at most step / 2 / sqrt(4,000); five of them
    assert (rolls.mean(0) - numbers).abs().max() < 5 * step / 2 / 4000**0.5
    assert len(rolls[:, 20].unique()) == 2
    assert torch.equal(rolls[3], rounded_by_chance(numbers, dice_of(numbers.device, 7, 3)).float())


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("columns", [8, 300, 521])
def test_8_bits_keep_seven_decades_and_never_make_a_moment_vanish(signed, columns):
    torch.manual_seed(0)
    values = torch.randn(40, columns) * torch.logspace(-12, 4, 40)[:, None]
    values = values if signed else values.square()
    codes, scale = torch.empty(40, columns, dtype=torch.uint8), torch.empty(40, blocks_of(columns))
    encode(values, codes, scale, signed=signed)
    found = decode(codes, scale, signed=signed)
    top = values.abs().amax(1, keepdim=True)
    # the widest gap of the table is 0.9/64 of a block's largest value, half of it up and down; roots double that
    assert ((found - values).abs() / top).max() < (0.9 / 128 if signed else 2 * 0.9 / 256) + 1e-6
    assert (found > 0)[values > 0].all()
    encode(torch.zeros(40, columns), codes, scale, signed=signed)
    assert not decode(codes, scale, signed=signed).any()


def travel(kept: str, *, rounded: bool = False, **values) -> torch.Tensor:
    """How far weights about 1 come in 200 steps of 1e-5 in one direction, with weights kept in a number format."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter((1 + torch.rand(30, 40)).to(getattr(torch, kept)))
    start = weight.detach().float().clone()
    optimiser = open_adamw([{"params": [weight], "weight_decay": 0.0, "scale": 1.0}], Optimisation(lr=1e-5, **values))
    for _ in range(200):
        weight.grad = torch.ones_like(weight)
        optimiser.step()
        if rounded:
            optimiser.state[weight].pop("low")
    return start - exact(weight, optimiser.state[weight]).float()


def test_small_updates_are_lost_by_plain_rounding_only():
    """A step is 1/800 of the gap between bfloat16 numbers at 1: rounded to the nearest, no weight ever moves."""
    whole = travel("float32")
    assert whole.mean().item() == pytest.approx(200 * 1e-5, rel=5e-3)  # float32 rounds at 1.5 too
    assert not travel("bfloat16", rounded=True, **BRAIN).any()
    torch.testing.assert_close(travel("bfloat16", **BRAIN), whole, rtol=0, atol=1e-6)  # float32's own rounding at 2
    chance = travel("bfloat16", **BRAIN, weights_rounding="stochastic")
    # a step is taken with a chance of 1/800: 1,200 weights take 300 in 200 steps, give or take 17; five times that
    assert chance.mean().item() == pytest.approx(whole.mean().item(), rel=5 * 17 / 300)
    assert torch.equal(chance * 2**8, (chance * 2**8).round())  # from one bfloat16 number to another


@pytest.fixture
def run(tiny, shards, run_stage):
    def call(name="run", model=tiny, **values):
        given = {"model": ("checkpoint", [model]), "tokens": ("tokens", [shards])}
        return run_stage(STAGE, given, name, **{**VALUES, "num_tokens": 256 * 16, **values})

    return call


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "train_log.jsonl").read_text().splitlines()]


def test_a_run_on_weights_in_bfloat16_has_the_losses_of_one_in_float32(run):
    """Both compute in bfloat16, of which a loss near 5 is known to about a hundredth."""
    whole = losses(run("float32", dtype="bfloat16")[1])
    assert whole[-1] < whole[0] - 1
    for name, more in {"kept": {}, "chance": {"weights_rounding": "stochastic"}, "int8": {"moments": "int8"}}.items():
        assert losses(run(name, **BRAIN, **more)[1]) == pytest.approx(whole, abs=0.02), name


@pytest.fixture(scope="module")
def halved(tiny, tmp_path_factory) -> Path:
    """`tiny` in bfloat16."""
    import shutil

    folder = shutil.copytree(tiny, tmp_path_factory.mktemp("halved") / "model")
    weights = load_file(folder / "model.safetensors")
    save_file({n: t.bfloat16() for n, t in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    return folder


def test_the_checkpoint_has_the_number_format_that_it_began_with(run, tiny, halved, weights_of):
    """From float32, not a bit is lost: what is not trained is the same, and a rate of 0 changes nothing."""
    before = weights_of(tiny)
    still = weights_of(run("still", **BRAIN, lr=0.0, num_tokens=256)[1])
    assert all(torch.equal(before[name], still[name]) for name in before)
    rows = weights_of(run("rows", **BRAIN, train_only=["*embed_tokens*"], new_rows_from=300, num_tokens=512)[1])
    assert rows["model.embed_tokens.weight"].dtype == torch.float32
    assert torch.equal(rows["model.embed_tokens.weight"][:300], before["model.embed_tokens.weight"][:300])
    assert not torch.equal(rows["model.embed_tokens.weight"], before["model.embed_tokens.weight"])
    assert all(torch.equal(rows[name], before[name]) for name in before if name != "model.embed_tokens.weight")
    found = weights_of(run("halved", model=halved, **BRAIN, num_tokens=512)[1])
    assert {tensor.dtype for tensor in found.values()} == {torch.bfloat16}
    assert not any(torch.equal(tensor, weights_of(halved)[name]) for name, tensor in found.items())


def test_a_run_goes_on_from_the_moments_and_lower_halves_of_another(run, halved, weights_of):
    """Two stages of 4 steps, the second with the first one's moments, are one of 8."""
    given = {**BRAIN, "schedule": "constant", "warmup_share": 0.0}
    whole = run("whole", model=halved, **given, num_tokens=256 * 8)[1]
    first = run("first", model=halved, **given, num_tokens=256 * 4, keep_moments=True)[1]
    second = run("second", model=first, **given, num_tokens=256 * 4, skip_tokens=256 * 4, with_moments=True)[1]
    one, two = weights_of(whole), weights_of(second)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_two_processes_hold_bfloat16_and_8_bits_as_one_does(tiny, shards, tmp_path, weights_of):
    """Gradients in bfloat16 are summed in another order, and codes may fall to either side; resuming is exact, on two
    processes and from two on one."""
    given = {"model": tiny, "tokens": shards}
    params = {**VALUES, "num_tokens": 256 * 4, "moments": "int8"}
    stop = {"stop": 256 * 2, "checkpoint_seconds": 0}
    two, one = {"processes": 2}, {"processes": 1}
    brain = {**params, **BRAIN}
    pairs = [
        a_run(tmp_path, "wide-two", given, params, two),
        a_run(tmp_path, "brain-two", given, brain, two),
        a_run(tmp_path, "brain-broken", given, brain, two, state="brain-again", **stop),
        a_run(tmp_path, "brain-again", given, brain, two),
        a_run(tmp_path, "brain-part", given, brain, two, state="brain-alone", **stop),
    ]
    alone = [
        a_run(tmp_path, "wide-one", given, params, one),
        a_run(tmp_path, "brain-one", given, brain, one),
        a_run(tmp_path, "brain-alone", given, brain, one),
    ]
    run_groups(tmp_path, [(2, pairs), (1, alone)])
    assert losses(tmp_path / "wide-two") == pytest.approx(losses(tmp_path / "wide-one"), abs=1e-3)
    for other in ("two", "alone"):
        assert losses(tmp_path / f"brain-{other}") == pytest.approx(losses(tmp_path / "brain-one"), abs=1e-2)
    again, whole = (weights_of(tmp_path / f"brain-{which}") for which in ("again", "two"))
    assert all(torch.equal(again[key], whole[key]) for key in whole)


def test_adapters_and_preferences_learn_on_weights_in_bfloat16(run, tiny, run_stage, weights_of, tmp_path):
    """Adapters leave the rest of the model to the merge; a model that is its own reference is loaded whole."""
    pytest.importorskip("peft")
    from train_ranks import save_pairs

    from sampan.train.preference import STAGE as PREFERENCE

    before = weights_of(tiny)
    found = weights_of(run("adapters", **BRAIN, lora_rank=2, lora_targets=["*q_proj"], num_tokens=512)[1])
    for name, tensor in before.items():
        assert torch.equal(found[name], tensor) == ("q_proj" not in name)
    (tmp_path / "pairs").mkdir()
    pairs = save_pairs(tmp_path / "pairs", [("the tin", "a hat"), ("in the tent", "a thin hat")])
    given = {"model": ("checkpoint", [tiny]), "preferences": ("preferences", [pairs])}
    values = {"context_len": 64, "micro_batch_tokens": 128, "lr": 1e-3, "epochs": 12, "global_batch_pairs": 2}
    curves = [
        losses(run_stage(PREFERENCE, given, name, **values, **more)[1])
        for name, more in {"wide": {"dtype": "bfloat16"}, "brain": BRAIN}.items()
    ]
    assert curves[0][-1] < curves[0][0] - 0.1
    # log-probabilities of a whole answer, of numbers with 8 bits, in a sigmoid
    assert curves[1] == pytest.approx(curves[0], abs=0.05)
