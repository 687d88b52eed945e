"""Groups, decay, moments, averages and the z-loss against their definitions; resumed runs end with the same bits."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from sampan.core.errors import RecipeError, StageError
from sampan.core.identity import digest_tree
from sampan.core.params import parse_params
from sampan.train.causal_lm import STAGE
from sampan.train.preference import STAGE as PREFERENCE
from sampan.train.settings import Optimisation

VALUES = {"context_len": 32, "micro_batch_tokens": 256, "lr": 3e-3, "eps": 1e-8, "global_batch_tokens": 256}
EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture
def run(tiny, shards, run_stage):
    def call(name="run", model=tiny, **values):
        given = {"model": ("checkpoint", [model]), "tokens": ("tokens", [shards])}
        return run_stage(STAGE, given, name, **{**VALUES, "num_tokens": 256 * 8, **values})

    return call


def _stop_at(step):
    def stop(done, total, unit):
        if done == step * 256:
            raise KeyboardInterrupt

    return stop


@pytest.fixture
def untied(tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=40, tie_word_embeddings=False))


def scales(model, **values):
    from sampan.train.optimiser import make_optimiser

    names = {parameter: name for name, parameter in model.named_parameters()}
    optimiser = make_optimiser(model, Optimisation(**values))
    return {names[p]: (g["scale"], g["weight_decay"]) for g in optimiser.param_groups for p in g["params"]}


def test_learning_rates_by_part_and_by_name(untied):
    found = scales(untied, embedding_lr_scale=0.5, head_lr_scale=2.0, lr_scales={"*mlp.up*": 0.1, "*mlp*": 3.0})
    assert found[EMBEDDING] == (0.5, 0.0)
    assert found["lm_head.weight"] == (2.0, 0.0)
    assert found["model.layers.0.mlp.up_proj.weight"] == (0.1, 0.1)
    assert found["model.layers.0.mlp.down_proj.weight"] == (3.0, 0.1)
    assert found["model.layers.0.self_attn.q_proj.weight"] == (1.0, 0.1)
    assert found["model.norm.weight"] == (1.0, 0.0)
    assert scales(untied, embedding_lr_scale=0.5)["lm_head.weight"] == (0.5, 0.0)


def test_a_pattern_without_parameters_and_a_head_that_is_tied_are_refused(run, untied):
    with pytest.raises(StageError, match="no parameter matches"):
        scales(untied, lr_scales={"*nothing*": 1.0})
    untied.lm_head.weight = untied.model.embed_tokens.weight
    with pytest.raises(StageError, match="head is its embeddings"):
        scales(untied, head_lr_scale=2.0)


@pytest.mark.parametrize("moments", ["float32", "bfloat16"])
@pytest.mark.parametrize(("decay", "taken"), [("torch", 1e-3 * 0.1), ("composer", 0.5 * 0.1)])
def test_the_two_flavours_of_decay(untied, decay, taken, moments):
    """Half-way down the schedule, without a gradient: torch takes lr × λ, Composer lr / initial lr × λ."""
    from sampan.train.optimiser import make_optimiser, set_rate

    weight = untied.model.layers[0].mlp.up_proj.weight
    params = Optimisation(lr=2e-3, weight_decay=0.1, decay=decay, lr_scales={"*up_proj*": 0.25}, moments=moments)
    optimiser = make_optimiser(untied, params)
    set_rate(optimiser, 1e-3)
    before = weight.detach().clone()
    weight.grad = torch.zeros_like(weight)
    optimiser.step()
    expected = taken * (0.25 if decay == "torch" else 1)
    torch.testing.assert_close(weight.detach(), before * (1 - expected), rtol=1e-6, atol=0)


def test_moments_in_bfloat16_follow_adamw_to_their_precision():
    from sampan.train.moments import open_adamw

    torch.manual_seed(0)
    start, ends = torch.randn(20, 30), []
    grads = [torch.randn(20, 30) for _ in range(20)]
    for kind in ("float32", "bfloat16"):
        weight = torch.nn.Parameter(start.clone())
        group = {"params": [weight], "weight_decay": 0.1, "scale": 1.0}
        optimiser = open_adamw([group], Optimisation(lr=1e-2, moments=kind))
        for grad in grads:
            weight.grad = grad.clone()
            optimiser.step()
        ends.append(weight.detach())
    assert optimiser.state[weight]["exp_avg"].dtype == torch.bfloat16
    # bfloat16 keeps 8 bits: each step's update is off by a few parts in a thousand, of twenty steps of 1e-2
    torch.testing.assert_close(ends[1], ends[0], rtol=0, atol=20 * 1e-2 * 0.01)
    assert (ends[1] - start).abs().mean() > 0.01


@pytest.mark.parametrize(
    "values",
    [
        {"ema_decay": 0.8},
        {"average_last": 3, "average_every": 2},
        {"moments": "bfloat16"},
        {"moments": "int8"},
        {"z_loss": 1e-3, "embeddings_first": 5, "decay": "composer"},
        {"moments": "int8", "rewind_steps": 2},
        {"weights_dtype": "bfloat16"},
        {"weights_dtype": "bfloat16", "weights_rounding": "stochastic", "moments": "int8"},
        {"weights_dtype": "bfloat16", "ema_decay": 0.8, "rewind_steps": 2},
    ],
    ids=lambda values: "-".join(map(str, values.values())),
)
def test_a_resumed_run_ends_with_the_same_bytes(run, values):
    metrics, whole = run("whole", **values)
    with pytest.raises(KeyboardInterrupt):
        run("broken", on_progress=_stop_at(6), checkpoint_seconds=0, **values)
    _, resumed = run("broken", fresh_out=False, **values)
    assert digest_tree(resumed) == digest_tree(whole)
    assert metrics["loss_last"] < metrics["loss_first"]
    assert digest_tree(whole) != digest_tree(run("plain")[1])


def states(run, tmp_path, **values):
    """Weights after each step of a run of eight."""
    found = []
    for step in range(2, 9):
        with pytest.raises(KeyboardInterrupt):
            run(f"stop{step}", on_progress=_stop_at(step), checkpoint_seconds=0, **values)
        kept = load_file(tmp_path / f"stop{step}-state" / f"step-{step - 1:09d}" / "00000-of-00001.safetensors")
        found.append({n.removeprefix("weight/"): t for n, t in kept.items() if n.startswith("weight/")})
    return found


def test_averages_are_what_they_say(run, tmp_path, weights_of):
    path = [*states(run, tmp_path), weights_of(run("last")[1])]
    mean = weights_of(run("mean", average_last=3, average_every=2)[1])
    ema = weights_of(run("ema", ema_decay=0.75)[1])
    for name in mean:
        # points after steps 4, 6 and 8; float32 sums of three numbers in another order
        torch.testing.assert_close(mean[name], sum(path[n - 1][name] for n in (4, 6, 8)) / 3, rtol=1e-5, atol=1e-6)
        expected = path[0][name]
        for weights in path[1:]:
            expected = 0.75 * expected + 0.25 * weights[name]
        torch.testing.assert_close(ema[name], expected, rtol=1e-5, atol=1e-6)


def test_what_is_measured_at_the_end_is_the_average_that_is_written(run, shards, tiny, run_stage):
    import json

    given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [shards]), "held_out": ("tokens", [shards])}
    values = {**VALUES, "num_tokens": 256 * 8, "held_out_tokens": 500}
    metrics, out = run_stage(STAGE, given, "averaged", ema_decay=0.9, **values)
    after, _ = run_stage(STAGE, {**given, "model": ("checkpoint", [out])}, "after", **{**values, "num_tokens": 256})
    told = "held_out_bits_per_byte"
    # the same weights, read from the file
    assert after[told]["first"] == pytest.approx(metrics[told]["last"], rel=1e-5)
    rows = [json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()]
    assert rows[-1]["held_out"] == metrics[told]["last"]


def test_embeddings_alone_at_first(run, tiny, weights_of):
    before, after = weights_of(tiny), weights_of(run(embeddings_first=8)[1])
    assert [name for name in before if not torch.equal(before[name], after[name])] == [EMBEDDING]
    later = weights_of(run("later", embeddings_first=7)[1])
    assert not torch.equal(later["model.norm.weight"], before["model.norm.weight"])


@pytest.mark.parametrize("cap", [None, 4.0])
@pytest.mark.parametrize("uniform", [True, False])
def test_the_z_loss_and_its_gradient_against_autograd(cap, uniform):
    from sampan.train.logprobs import _Logprobs

    torch.manual_seed(0)
    hidden, weight = (torch.randn(n, 8, dtype=torch.float32, requires_grad=True) for n in (30, 50))
    labels, z = torch.randint(50, (30,)), 0.03
    out, _ = _Logprobs.apply(hidden, weight, labels, cap, uniform, z)
    found = torch.autograd.grad(-out.sum(), (hidden, weight))
    logits = hidden @ weight.t()
    logits = logits if cap is None else cap * torch.tanh(logits / cap)
    lse = logits.logsumexp(-1)
    loss = (lse - logits.gather(1, labels[:, None])[:, 0] + z * lse.square()).sum()
    # float32 sums over 50 rows in another order
    torch.testing.assert_close(-out.sum(), loss, rtol=1e-5, atol=1e-4)
    for one, other in zip(found, torch.autograd.grad(loss, (hidden, weight)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_the_z_loss_is_logged_apart_and_pulls_the_sum_down(run, weights_of):
    import json

    rows = {}
    for z in (0.0, 0.1):
        _, out = run(str(z), z_loss=z, num_tokens=256 * 20)
        rows[z] = [json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()]
    assert "z_loss" not in rows[0.0][0]
    first = rows[0.1][0]
    assert first["loss"] - first["z_loss"] == pytest.approx(rows[0.0][0]["loss"], rel=1e-5)
    # untrained logits are near 0, so that the sum's logarithm is ln(vocabulary); without the penalty it stays there
    assert rows[0.1][-1]["z_loss"] < 0.75 * first["z_loss"]


@pytest.mark.parametrize(
    ("stage", "values", "says"),
    [
        (STAGE, {"ema_decay": 1.0}, "ema_decay"),
        (STAGE, {"ema_decay": 0.5, "average_last": 2}, "two averages"),
        (STAGE, {"lr_scales": {"*": -1}}, "must be 0 or more"),
        (STAGE, {"moments": "bfloat16", "beta2": 0.999}, "lower beta2"),
        (STAGE, {"decay": "composer", "lr": 0}, "divides by lr"),
        (STAGE, {"weights_dtype": "bfloat16", "dtype": "float32"}, "computed with in bfloat16"),
        (STAGE, {"weights_rounding": "stochastic"}, "is for weights_dtype"),
        (PREFERENCE, {"z_loss": 1e-4}, "does not read z_loss"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(stage, values, says):
    with pytest.raises(RecipeError, match=says):
        parse_params(stage.params, values, where="here")
