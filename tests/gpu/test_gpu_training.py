"""On a GPU: attention, loss and weights in bfloat16 give what the plain forms and the CPU give."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sampan.train.attention import _explicit, find_flex, packed_attention, use_packed_attention, varlen_missing
from sampan.train.flex import usable
from sampan.train.logprobs import linear_logprobs, token_logprobs
from sampan.train.packing import IGNORE, Piece, pack, share_prompt

FAMILIES = {
    "llama": {},
    "mistral": {"sliding_window": 70},
    "qwen2": {},
    "gemma2": {"sliding_window": 70, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
}
CLOSE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""Of numbers about 1: sums in another order; bfloat16 keeps 8 bits, of a few hundred terms."""


def pieces(sizes, *, shares: bool) -> list[Piece]:
    rng, out = np.random.default_rng(0), []
    for size in sizes:
        ids = rng.integers(3, 90, size)
        if not shares:
            out.append(Piece(ids, np.append(ids[1:], IGNORE)))
            continue
        sides = []
        for first in (3, 4):
            both = np.concatenate([ids, [first], rng.integers(3, 90, size // 2)])
            labels = np.append(both[1:], IGNORE)
            labels[: size - 1] = IGNORE
            sides.append(Piece(both, labels, group=len(out)))
        out += [sides[0], share_prompt(*sides)]
    return out


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("shares", [False, True], ids=["documents", "answers"])
@pytest.mark.parametrize(("softcap", "window"), [(None, None), (None, 70), (2.0, None), (2.0, 70)])
def test_the_kernel_that_is_chosen_equals_the_explicit_form(cuda, softcap, window, shares, dtype):
    class Config:
        num_attention_heads, num_key_value_heads, head_dim = 4, 2, 64
        attn_logit_softcapping, sliding_window = softcap, window

    why = find_flex(Config, "cuda", dtype)
    layout = pack(pieces((150, 5, 300, 1, 40), shares=shares), cuda).layout
    rows = layout.tokens + sum(layout.tails.own if layout.tails else [])
    dice = torch.Generator().manual_seed(0)
    given = [torch.randn(1, n, rows, 64, generator=dice).to(cuda, dtype).requires_grad_() for n in (4, 2, 2)]
    if softcap is not None:
        assert usable(*given[:2], softcap), why
    found, _ = packed_attention(None, *given, packing=layout, softcap=softcap, sliding_window=window)
    expected = _explicit(*given, layout, None, softcap, window).transpose(1, 2)
    torch.testing.assert_close(found, expected, rtol=CLOSE[dtype], atol=CLOSE[dtype])
    sides = [torch.autograd.grad(out.float().square().sum(), given) for out in (found, expected)]
    for one, other in zip(*sides, strict=True):
        scale = max(1.0, float(other.abs().max()))
        torch.testing.assert_close(one / scale, other / scale, rtol=CLOSE[dtype], atol=CLOSE[dtype])


def test_torch_s_kernel_is_there_or_the_reason_is_told(cuda):
    print("variable-length kernel:", varlen_missing("cuda") or "used")
    assert not varlen_missing("cuda") or isinstance(varlen_missing("cuda"), str)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shares", [False, True], ids=["documents", "answers"])
def test_a_model_gives_the_numbers_it_gives_on_a_cpu(cuda, family, shares):
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    sizes |= {"head_dim": 32, "intermediate_size": 192, "vocab_size": 96, "max_position_embeddings": 512}
    config = AutoConfig.for_model(family, **sizes, **FAMILIES[family])
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    use_packed_attention(model)
    results = []
    for device in ("cpu", cuda):
        model.to(device)
        model.zero_grad()
        find_flex(config, str(device), torch.float32)
        batch = pack(pieces((150, 5, 90), shares=shares), device)
        found = token_logprobs(model, batch, dtype=torch.float32, uniform=True)
        (-found.sum()).backward()
        results.append((found.detach().cpu(), {n: p.grad.cpu().clone() for n, p in model.named_parameters()}))
    (logprobs, grads), (others, other_grads) = results
    torch.testing.assert_close(others, logprobs, rtol=1e-4, atol=1e-4)
    for name, grad in grads.items():
        scale = max(1e-3, float(grad.abs().max()))
        torch.testing.assert_close(other_grads[name] / scale, grad / scale, rtol=1e-3, atol=1e-3, msg=name)


@pytest.mark.parametrize("cap", [None, 30.0])
@pytest.mark.parametrize("uniform", [True, False])
def test_the_fused_loss_equals_plain_logits(cuda, cap, uniform):
    torch.manual_seed(0)
    hidden = torch.randn(700, 64, device=cuda, requires_grad=True)
    weight = torch.randn(50_000, 64, device=cuda, requires_grad=True)
    labels = torch.randint(50_000, (700,), device=cuda)
    logits = hidden @ weight.t()
    logits = logits if cap is None else torch.tanh(logits / cap) * cap
    expected = logits.log_softmax(-1).gather(1, labels[:, None])[:, 0]
    found = linear_logprobs(hidden, weight, labels, cap=cap, uniform=uniform)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    sides = [torch.autograd.grad(out.sum(), (hidden, weight)) for out in (found, expected)]
    for one, other in zip(*sides, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rounding", ["kept", "stochastic"])
@pytest.mark.parametrize("moments", ["float32", "bfloat16", "int8"])
def test_weights_in_bfloat16_move_as_float32_ones(cuda, rounding, moments):
    """200 steps of 1e-5 on weights about 1, each of them 1/800 of the gap between two numbers."""
    from sampan.train.masters import exact
    from sampan.train.moments import open_adamw
    from sampan.train.settings import Optimisation

    params = Optimisation(lr=1e-5, weights_dtype="bfloat16", weights_rounding=rounding, moments=moments)
    weight = torch.nn.Parameter((1 + torch.rand(300, 400, device=cuda)).bfloat16())
    start = weight.detach().float().clone()
    optimiser = open_adamw([{"params": [weight], "weight_decay": 0.0, "scale": 1.0}], params)
    for _ in range(200):
        weight.grad = torch.ones_like(weight)
        optimiser.step()
    moved = (start - exact(weight, optimiser.state[weight]).float()).mean().item()
    # moments of 8 bits are a hundredth off, chance among 120,000 weights less than that
    assert moved == pytest.approx(200 * 1e-5, rel=0.05)


def test_a_run_on_a_gpu_has_the_losses_of_one_on_a_cpu(cuda, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    from sampan.core.stage import Runtime
    from sampan.train.batches import ListBatches
    from sampan.train.causal_lm import Params
    from sampan.train.loop import fit
    from sampan.train.objectives import OBJECTIVES
    from sampan.train.task import token_task

    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(**sizes, intermediate_size=256, vocab_size=96, max_position_embeddings=512)
    examples = [[piece] for piece in pieces(range(20, 180, 10), shares=False)]
    curves = {}
    kinds = {"cpu": {"dtype": "float32"}, "float32": {"dtype": "float32"}, "autocast": {"dtype": "bfloat16"}}
    kinds |= {"bfloat16": {"weights_dtype": "bfloat16", "moments": "int8"}}
    for name, values in kinds.items():
        device = "cpu" if name == "cpu" else "cuda"
        torch.manual_seed(0)
        model = LlamaForCausalLM(config).to(getattr(torch, values.get("weights_dtype", "float32"))).to(device)
        use_packed_attention(model)
        lengths = [len(piece.ids) for (piece,) in examples]
        batches = ListBatches(examples, lengths, budget=400, epochs=4, seed=0, names=["text"], unit="tokens")
        for folder in ("out", "state"):
            (tmp_path / name / folder).mkdir(parents=True)
        runtime = Runtime(out=tmp_path / name / "out", state=tmp_path / name / "state", device=device)
        params = Params(context_len=256, micro_batch_tokens=400, lr=1e-3, eps=1e-8, **values)
        task = token_task(batches, OBJECTIVES.load("causal_lm"))
        progress, _, _ = fit(model, task, params, runtime)
        curves[name] = [row["loss"] for row in progress.rows]
    # Adam divides rounding by itself where a gradient is nearly zero; losses are about 4
    assert curves["float32"] == pytest.approx(curves["cpu"], rel=1e-3)
    assert curves["autocast"] == pytest.approx(curves["cpu"], rel=2e-2)
    assert curves["bfloat16"] == pytest.approx(curves["cpu"], rel=3e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_liger_s_kernels_pass_their_proof(cuda, family):
    pytest.importorskip("liger_kernel")
    from transformers import AutoConfig, AutoModelForCausalLM

    from sampan.train.liger import use_liger_parts

    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = AutoConfig.for_model(family, **sizes, head_dim=32, intermediate_size=192, vocab_size=96)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).to(cuda)
    for dtype in CLOSE:
        assert use_liger_parts(model, str(cuda), dtype) >= 7  # norms and feed-forward layers of two blocks
