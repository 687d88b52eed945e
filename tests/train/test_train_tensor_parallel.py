"""Matrices divided among processes: equal losses and weights, and checkpoints that any other division goes on from."""

from __future__ import annotations

from pathlib import Path

import pytest
from train_ranks import a_run, check_equal, log, make_family, run_groups, save_pairs

from sampan.core.errors import RecipeError, StageError
from sampan.core.identity import digest_tree
from sampan.core.spread import Spread
from sampan.train.checks import check_divided
from sampan.train.distributed import Sides, World
from sampan.train.settings import Optimisation
from sampan.train.tensor_parallel import divide

STEPS = 12
PARAMS = {
    "context_len": 32,
    "micro_batch_tokens": 64,
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
FAMILIES = ("qwen2", "qwen3", "gemma2")
TWO = {"processes": 2, "tensor_parallel": 2}
FOUR = {"processes": 4, "tensor_parallel": 2}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    return save_pairs(tmp_path_factory.mktemp("tensor-pairs"), [("the " * (n % 4), "a hat") for n in range(8)])


@pytest.fixture(scope="module")
def ran(tiny, shards, pairs, tmp_path_factory) -> Path:
    """Runs of one process, of two that divide matrices, and of four that do and have two shares of the tokens."""
    folder = tmp_path_factory.mktemp("tensor")
    families = {family: make_family(family, tiny, folder) for family in FAMILIES}

    def run(name: str, spread: dict, model: Path = tiny, **more) -> dict:
        return a_run(folder, name, {"model": model, "tokens": shards, "held_out": shards}, PARAMS, spread, **more)

    def prefer(name: str, spread: dict) -> dict:
        values = {"context_len": 64, "micro_batch_tokens": 64, "lr": 1e-3, "eps": 1e-6, "global_batch_pairs": 3}
        return a_run(folder, name, {"model": tiny, "preferences": pairs}, values, spread, stage="train.preference")

    broken = {"stop": 256 * 5, "checkpoint_seconds": 0}
    two = [run("two", TWO), run("thrifty", {**TWO, "recompute": 1}), prefer("pairs2", TWO)]
    two += [run(f"{family}2", TWO, model) for family, model in families.items()]
    two += [run(f"broken-{n}", TWO, state=n, **broken) for n in ("one-from2", "data-from2", "again")]
    two += [run("again", TWO), run("data-from2", {"processes": 2})]
    one = [run("one", {}), prefer("pairs1", {}), run("one-from2", {})]
    one += [run(f"{family}1", {}, model) for family, model in families.items()]
    four = [run("four", {**FOUR, "sync": "each"}), run("broken-4", FOUR, state="two-from4", **broken)]
    run_groups(folder, [(2, two), (1, one), (4, four), (2, [run("two-from4", TWO)])])
    return folder


@pytest.mark.parametrize("name", ["two", "thrifty", "four", "one-from2", "data-from2", "two-from4"])
def test_divided_matrices_learn_what_whole_ones_do(ran, weights_of, name):
    """Two processes; with blocks computed again; four, in two dimensions; and a checkpoint of one division that is gone
    on with in another: two of matrices by one, by two of tokens, and four by two."""
    check_equal(ran / "one", ran / name, weights_of)
    assert log(ran / name)[-1]["samples"]


def test_a_resumed_run_ends_with_the_same_bytes(ran):
    assert digest_tree(ran / "again") == digest_tree(ran / "two")


@pytest.mark.parametrize("family", FAMILIES)
def test_families_with_biases_norms_caps_and_tied_embeddings(ran, weights_of, family):
    check_equal(ran / f"{family}1", ran / f"{family}2", weights_of)


def test_preferences_are_learnt_alike(ran, weights_of):
    check_equal(ran / "pairs1", ran / "pairs2", weights_of)


def test_each_process_has_a_part(tiny):
    from sampan.model.checkpoint import load_model

    model = load_model(tiny)
    whole = sum(p.numel() for p in model.model.layers.parameters())
    norms = sum(p.numel() for p in model.model.layers.parameters() if p.dim() == 1)
    divide(model, World(sides=Sides(tensor=World(1, 2))))
    assert sum(p.numel() for p in model.model.layers.parameters()) == (whole - norms) / 2 + norms


@pytest.mark.parametrize(
    ("size", "values", "says"),
    [
        (3, {}, "4 heads, 2 of keys and values, cannot be divided by 3"),
        (2, {"lora_rank": 2}, "lora_rank is not for matrices that are divided"),
        (2, {"moments": "int8"}, "int8 is not"),
        (2, {"keep_moments": True}, "keep_moments is not"),
    ],
)
def test_what_cannot_be_divided_is_refused(tiny, size, values, says):
    from sampan.model.checkpoint import load_model

    world = World(sides=Sides(tensor=World(0, size)))
    with pytest.raises(StageError, match=says):
        check_divided(load_model(tiny), Optimisation(**values), world, None)


def test_an_architecture_without_a_known_plan_is_refused():
    from transformers import AutoConfig, AutoModelForCausalLM

    world = World(sides=Sides(tensor=World(0, 2)))
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 64}
    for family, says in (("olmo2", "has colwise_gather_output"), ("gpt2", "plan is missing")):
        special = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **sizes, **special))
        with pytest.raises(StageError, match=says):
            divide(model, world)


def test_processes_are_a_multiple_of_what_divides_them():
    with pytest.raises(RecipeError, match="must divide"):
        Spread(processes=3, tensor_parallel=2)
    with pytest.raises(RecipeError, match="--compile"):
        Spread(processes=2, tensor_parallel=2, compile=True)
