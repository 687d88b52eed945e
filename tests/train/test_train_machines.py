"""Forecasts on named machines against published runs and against what was measured here."""

from __future__ import annotations

import math
import statistics

import pytest

from sampan.core.errors import RecipeError
from sampan.core.params import parse_params
from sampan.train.causal_lm import STAGE
from sampan.train.forecast import forecast
from sampan.train.machines import device_memory, implied_mfu, known_machines, open_machine, outlook, run_mfu
from sampan.train.shapes import guessed, shape_of


def sealion(parameters: float) -> dict[str, float]:
    """SEA-LION v3's continued pre-training: 200 B tokens, 512 sequences of 8192 a step (arXiv:2504.05747)."""
    params = STAGE.params(num_tokens=200e9, context_len=8192, micro_batch_tokens=8192)
    return dict(STAGE.estimate(params, {"model": [{"parameters": parameters}]}))


@pytest.mark.parametrize(
    ("parameters", "name", "hours", "low", "high"),
    [
        # 6·N·D alone gives 308 TFLOP/s on each H200 and 200 on each H100, of 989; attention over 8192 adds a tenth
        (8.03e9, "h200x64", 136, 0.31, 0.37),
        (9.24e9, "h100x64", 240, 0.20, 0.25),
    ],
)
def test_the_published_runs_have_their_steps_and_imply_a_plausible_mfu(parameters, name, hours, low, high):
    estimate, machine = sealion(parameters), open_machine(name)
    assert estimate["steps"] == 47_684
    reached = implied_mfu(estimate["flops"], hours, machine)
    print(f"{name}: {hours} h for {parameters / 1e9:.2f} B parameters imply an MFU of {reached:.1%}")
    assert low < reached < high
    again = outlook(estimate, open_machine(name, mfu=reached, price=2.0))
    assert again.steps == 47_684
    assert again.seconds / 3600 == pytest.approx(hours, rel=1e-9)
    assert again.cost == pytest.approx(again.seconds / 3600 * 64 * 2.0)
    assert again.fits


def test_the_assumed_mfu_is_the_median_of_public_runs():
    table = known_machines()
    for kind in ("h100", "a100"):
        reached = [run_mfu(run, table[kind]["flops"]) for run in table[kind]["runs"]]
        assert len(reached) >= 4
        assert all(run["source"].startswith("https://") for run in table[kind]["runs"])
        assert table[kind]["mfu"] == round(statistics.median(reached), 2)
    assert table["h200"]["mfu"] == table["h100"]["mfu"]
    assert table["a800"]["mfu"] == table["a100"]["mfu"]


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("h100", "llm-foundry-7b-8192", 0.3714),
        ("h100", "llm-foundry-13b-4096", 0.4160),
        ("a100", "llm-foundry-7b-4096", 0.5484),
        ("a100", "llm-foundry-13b-4096", 0.5762),
    ],
)
def test_the_public_runs_are_told_right(kind, name, told):
    """LLM Foundry prints an MFU that counts attention over the whole context; from our numbers it comes out again, to
    the rounding of its tokens per second."""
    row = known_machines()[kind]
    (run,) = (run for run in row["runs"] if run["name"] == name)
    whole = 6 * run["parameters"] + 12 * run["num_layers"] * run["attention_size"] * run["context_len"]
    assert run["tokens_per_second"] * whole / row["flops"] == pytest.approx(told, abs=2e-4)


@pytest.mark.parametrize(("kind", "steps", "hours", "devices"), [("h200", 9000, 200, 64), ("h100", 38684, 495, 128)])
def test_runs_that_are_told_in_hours_are_told_right(kind, steps, hours, devices):
    """The card of Llama-SEA-LION-v3-70B gives steps and hours; every step has 512 sequences of 8,192 tokens."""
    (run,) = (run for run in known_machines()[kind]["runs"] if run["name"] == "sea-lion-v3-70b-8192")
    assert run["devices"] == devices
    assert run["tokens_per_second"] == round(steps * 512 * 8192 / (hours * 3600 * devices), 1)
    llama = 80 * (2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 28672 + 2 * 8192) + 2 * 128256 * 8192 + 8192
    assert run["parameters"] == llama, "from its config.json: attention, feed-forward, norms, embeddings"


def test_a_model_whose_shape_is_known_is_not_guessed():
    llama = {"parameters": 8030261248, "vocab_size": 128256, "hidden_size": 4096, "num_layers": 32, "tied": 0}
    shape = shape_of(llama)
    looked_up = 128256 * 4096
    assert shape.token_flops(8192) == 6 * (8030261248 - looked_up) + 6 * 32 * 4096 * 8192
    assert shape_of({**llama, "tied": 1}).token_flops(0) == 6 * 8030261248
    assert shape_of({"parameters": 8e9}) == guessed(8e9)
    estimate = STAGE.estimate(STAGE.params(num_tokens=1e9), {"model": [llama]})
    assert estimate["flops"] == 1e9 * shape.token_flops(4096)


def test_tokens_of_a_mixture_by_stream():
    phases = [{"until": 0.25, "weights": {"a": 1}}, {"until": 1.0, "weights": {"a": 1, "b": 3}}]
    params = parse_params(STAGE.params, {"num_tokens": 1000, "mixture": phases}, where="here")
    assert STAGE.estimate(params, {})["tokens_by_source"] == {"a": 250 + 187.5, "b": 562.5}


def test_a_layout_is_found_that_fits_and_what_never_fits_is_said():
    estimate = sealion(8.03e9)
    many, few, one = (outlook(estimate, open_machine(name)) for name in ("h200x64", "h100x8", "h100"))
    assert many.fits
    assert few.fits
    assert few.recompute > 0 or few.sync == "each"
    assert "recompute" in few.layout or "sync" in few.layout
    assert not one.fits  # 16 bytes of each of eight billion parameters are more than 80 GiB
    assert few.seconds > 8 * many.seconds * 0.9


def test_adapters_alone_have_gradients_and_moments():
    """Llama 3.1 8B with adapters of rank 16 on all linear layers: peft counts 41,943,040 trainable parameters."""
    facts = {"model": [{"parameters": 8.03e9}]}
    values = {"num_tokens": 1e9, "context_len": 2048, "micro_batch_tokens": 2048}
    full, lora = (
        STAGE.estimate(STAGE.params(**values, **more), facts) for more in ({}, {"lora_rank": 16, "lora_alpha": 32})
    )
    assert full["trained_parameters"] == 8.03e9
    assert lora["trained_parameters"] == pytest.approx(
        41_943_040, rel=0.2
    )  # width and layers are guessed, 8 % too large each
    # twelve bytes of each of eight billion parameters go: 96 GB
    assert full["memory_bytes"] - lora["memory_bytes"] == pytest.approx(12 * (8.03e9 - 4.2e7), rel=0.01)
    assert lora["flops"] == pytest.approx(full["flops"] * 4 / 6, rel=0.05)
    one = open_machine("h100")
    assert not outlook(full, one).fits
    assert outlook(lora, one).fits
    few = STAGE.estimate(STAGE.params(**values, lora_rank=16, lora_targets=("*q_proj", "*v_proj")), facts)
    assert few["trained_parameters"] == pytest.approx(6_815_744, rel=0.2)  # and of q and v alone this many
    rows = STAGE.estimate(STAGE.params(**values, lora_rank=16, new_rows_from=128_000), facts)
    assert rows["trained_parameters"] > lora["trained_parameters"] + 1e9


def test_the_size_of_the_adapters_is_that_of_a_real_one(tiny):
    from sampan.model.checkpoint import load_model
    from sampan.train.adapters import attach
    from sampan.train.forecast import adapter_size

    params = STAGE.params(lora_rank=4)
    model = load_model(tiny)
    attach(model, params)
    found = sum(p.numel() for name, p in model.named_parameters() if "lora_" in name)
    # width 32, two layers: a model for which the guess of the shape is as wrong as it gets
    assert 1 / 4 < adapter_size(guessed(sum(p.numel() for p in model.parameters())), params) / found < 4


def test_moments_and_averages_count():
    facts = {"model": [{"parameters": 1e9}]}
    for more, size in (
        ({}, 12),
        ({"moments": "bfloat16", "beta2": 0.95}, 8),
        ({"moments": "int8"}, 6),
        ({"ema_decay": 0.9}, 16),
    ):
        assert STAGE.estimate(STAGE.params(num_tokens=1e9, **more), facts)["trained_bytes"] == size


def test_less_is_kept_the_more_is_computed_again():
    machine = open_machine("h100x8")
    sizes = [device_memory(guessed(8e9), machine, 8192, recompute=k) for k in (0, 3, 2, 1)]
    assert sizes == sorted(sizes, reverse=True)
    assert device_memory(guessed(8e9), machine, 8192, recompute=1) < device_memory(
        guessed(8e9), machine, 8192, recompute=1, whole_grad=True
    )


def test_the_shape_of_a_model_is_guessed_from_its_size():
    found = guessed(8.03e9)  # Llama 3.1 8B: 4096 and 32
    assert found.width == pytest.approx(4096, rel=0.1)
    assert found.layers == pytest.approx(32, rel=0.1)


def test_a_core_is_as_fast_as_was_measured():
    measured = 1720  # real tokens per CPU-second of the tiny Llama on full rows in benchmarks/train_vs_peers.py
    steps = forecast(1e6, guessed(8.94e6), STAGE.params(context_len=512, micro_batch_tokens=2048))
    predicted = 1e6 / outlook(steps, open_machine("core")).seconds
    # layers and width are guessed, input embeddings cost nothing, and cores differ
    assert 1 / 1.5 < predicted / measured < 1.5


@pytest.mark.parametrize("name", ["v100", "h100x0", "h100x", "8xh100"])
def test_an_unknown_machine_is_refused(name):
    with pytest.raises(RecipeError, match="no machine"):
        open_machine(name)


def test_mfu_is_a_share():
    with pytest.raises(RecipeError, match="share"):
        open_machine("h100", mfu=40)
    assert open_machine("h100x8", mfu=0.5).mfu == 0.5
    assert math.isclose(open_machine("a100x2").flops, 312e12)


LLAMA = {
    "parameters": 8.03e9,
    "vocab_size": 128256,
    "hidden_size": 4096,
    "num_layers": 32,
    "attention_size": 4096,
    "kv_heads": 8,
    "tied": 0,
}


def planned(machine: str, **values):
    """Continued pre-training of Llama 3.1 8B; its shape is carried to the estimate, as a plan does."""
    facts = {"model": [{**LLAMA, **values.pop("shape", {})}]}
    params = STAGE.params(num_tokens=1e10, **values)
    return outlook({**facts["model"][0], **STAGE.estimate(params, facts)}, open_machine(machine))


def test_matrices_are_divided_where_fsdp_alone_does_not_fit():
    long = {"context_len": 155_648, "micro_batch_tokens": 155_648, "global_batch_tokens": 4_194_304}
    found = planned("h100x8", **long)
    assert found.fits
    assert found.tensor_parallel == 2, "the fewest parts that will do"
    assert found.layout.startswith("--tensor-parallel 2 ")
    assert "FSDP alone needs" in found.why
    for case in ({"shape": {"kv_heads": 1}}, {"keep_moments": True}):  # matrices cannot be divided, documents can
        cut = planned("h100x8", **long, **case)
        assert (cut.fits, cut.tensor_parallel, cut.context_parallel) == (True, 1, 2)
        assert cut.layout.startswith("--context-parallel 2 ")
    short = planned("h100x8", context_len=8192)
    assert short.fits
    assert (short.tensor_parallel, short.why) == (1, "")


def test_matrices_are_divided_where_a_step_has_fewer_sequences_than_devices():
    few = planned("h200x8", context_len=8192, global_batch_tokens=2 * 8192)
    assert (few.tensor_parallel, few.fits) == (4, True)
    assert "no more than 2 sequences for 8 devices" in few.why
    many = planned("h200x64", context_len=8192, global_batch_tokens=2 * 8192)
    assert (many.tensor_parallel, many.context_parallel, many.fits) == (1, 32, True)
    assert "no more than 2 sequences for 64 devices" in many.why
    nothing_helps = planned("h200x72", context_len=8192, global_batch_tokens=2 * 8192)
    assert (nothing_helps.tensor_parallel, nothing_helps.context_parallel, nothing_helps.fits) == (1, 1, True)
    assert "no more than 2 sequences for 72 devices" in nothing_helps.why
    assert planned("h200x8", context_len=8192, global_batch_tokens=8 * 8192).why == ""


def test_a_part_of_the_matrices_takes_less_and_what_is_whole_is_kept_by_each():
    machine, shape = open_machine("h100x8"), shape_of(LLAMA)
    rows = 2 * 128_256 * 4096
    blocks = 8.03e9 - rows
    bare = [device_memory(shape, machine, 0, tensor_parallel=t) for t in (1, 4)]
    gathered = [2 * (2 * blocks / 32 / t + rows) for t in (1, 4)]
    states = [size - more for size, more in zip(bare, gathered, strict=True)]
    # 16 bytes of a parameter over 8 devices, of the embeddings over 2; norms are not counted apart
    assert states[1] - states[0] == pytest.approx(16 * 3 * rows / 8, rel=0.01)
    whole, part = (
        device_memory(shape, machine, 32_768, tensor_parallel=t) - size for t, size in zip((1, 4), bare, strict=True)
    )
    # of what a block keeps, 24 of 34 bytes are divided; its input of 2 more is not
    assert part / whole == pytest.approx((10 + 24 / 4 + 2) / (34 + 2))


def test_a_cut_of_a_document_takes_less_and_keys_are_gathered_by_each():
    machine, shape = open_machine("h100x8"), shape_of(LLAMA)
    bare, whole, part = (
        device_memory(shape, machine, tokens, context_parallel=c) for tokens, c in ((0, 1), (32_768, 1), (32_768, 4))
    )
    # 34 bytes and its input of each block; keys, values and their gradients of one, of all tokens
    assert part - bare == pytest.approx((whole - bare) / 4 + 32_768 * 4096 * 8)


def test_a_teacher_is_held_beside():
    from sampan.train.distil import STAGE as DISTIL

    facts = {"model": [LLAMA], "teacher": [{"parameters": 8e9}], "tokens": [{"tokens": 1e9}]}
    taught, stored = (DISTIL.estimate(DISTIL.params(top_k=k), facts) for k in (0, 8))
    sizes = [outlook({**LLAMA, **each}, open_machine("h200x64")).memory_bytes for each in (taught, stored)]
    assert sizes[0] - sizes[1] == pytest.approx(4 * 8e9)


def test_answers_take_the_time_that_reading_the_weights_takes():
    """32,000 prompts answered twice by 8 B in bfloat16, 32 rows at once: 16 GB a step at 40 % of 3.35 TB/s."""
    from sampan.synth.self_preference import STAGE as ANSWERS
    from sampan.train.answering import answering

    facts = {"model": [LLAMA], "prompts": [{"documents": 32_000}]}
    estimate = ANSWERS.estimate(ANSWERS.params(dtype="bfloat16", max_new_tokens=200, batch_size=32), facts)
    one, eight = (answering(estimate, open_machine(name, price=2.0)) for name in ("h100", "h100x8"))
    steps = 32_000 * 200 / 32
    judged = 4 * 32_000 * 200 * 8.03e9 / (989e12 * 0.33)
    assert one.seconds == pytest.approx(steps * 2 * 8.03e9 / (0.4 * 3.35e12) + judged)
    assert eight.seconds == pytest.approx(one.seconds / 8)
    assert one.cost == pytest.approx(eight.cost) == pytest.approx(one.seconds / 1800)
    assert one.fits
    assert not answering({**estimate, "memory_bytes": 9e10}, open_machine("h100")).fits
    assert answering({"flops": 1e18}, open_machine("h100")) is None


def test_evaluation_is_foreseen_on_a_machine():
    from sampan.evals.run import STAGE as EVALS
    from sampan.train.answering import answering

    facts = {"models": [LLAMA, LLAMA]}
    short, long = (
        answering(EVALS.estimate(EVALS.params(tasks=["gsm8k"], max_new_tokens=n), facts), open_machine("h100"))
        for n in (64, 640)
    )
    assert 0 < short.seconds < long.seconds < 10 * short.seconds
