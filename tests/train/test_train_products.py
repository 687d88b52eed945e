"""Products by matrix tiles are as exact as float32's own, wherever matrices lie and whatever their sizes."""

from __future__ import annotations

import subprocess

import pytest
import torch

from sampan.train import kernels, lean, logprobs, products
from sampan.train.products import multiply

tiles = pytest.mark.skipif(kernels.load() is None, reason="no numba, or a processor without matrix tiles")
SIZES = [(64, 64, 64), (70, 33, 45), (100, 530, 300), (37, 50, 16), (513, 200, 600)]
"""Blocks that are whole, and those that end within a tile, within half a one and within a panel."""


@pytest.fixture
def always(monkeypatch):
    """Products of any size by tiles."""
    monkeypatch.setattr(products, "_LEAST", 1)
    monkeypatch.setattr(products, "_LEAST_WORK", 1)


def matrix(rows: int, columns: int, *, turned: bool) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows + columns)
    x = torch.randn(*((columns, rows) if turned else (rows, columns)), generator=generator)
    return x.t() if turned else x


def apart(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


@tiles
@pytest.mark.parametrize("turned", [(a, b) for a in (False, True) for b in (False, True)])
@pytest.mark.parametrize("size", SIZES)
def test_as_close_to_the_exact_product_as_torch_is(size, turned, always):
    m, n, k = size
    left, right = matrix(m, k, turned=turned[0]), matrix(k, n, turned=turned[1])
    exact = left.double() @ right.double()
    found, torchs = multiply(left, right), torch.mm(left, right)
    # Both round sums of k numbers; measured 0.5 to 0.7 of torch's error. A lost part of a number would be 100 times it.
    assert apart(found, exact) <= 1.2 * apart(torchs, exact)
    assert apart(multiply(left, right, out=found.clone(), add=True), 2 * exact) <= 1.5 * apart(torchs, exact)


@tiles
def test_every_digit_of_a_number_counts(always):
    left = matrix(70, 64, turned=False) * torch.logspace(-25, 30, 64)  # a part below 1e-38 is lost
    found = multiply(left, torch.eye(64))
    # Three parts of eight digits are a float32; where they add up across a power of two, the last digit is rounded.
    assert float(((found - left) / left).abs().max()) <= 2**-23
    assert (found == left).float().mean() > 0.95


@tiles
def test_parts_of_matrices_are_read_and_written_alone(always):
    whole, out = matrix(90, 80, turned=False), torch.ones(100, 90)
    multiply(whole[3:73, 5:55], whole[:50, 10:47], out=out[7:77, 11:48])
    assert torch.allclose(out[7:77, 11:48], whole[3:73, 5:55] @ whole[:50, 10:47], atol=1e-5)
    out[7:77, 11:48] = 1
    assert (out == 1).all()


@tiles
def test_sums_do_not_depend_on_the_number_of_threads(always, monkeypatch):
    left, right = matrix(300, 70, turned=True), matrix(70, 90, turned=False)
    alone = multiply(left, right)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(multiply(left, right), alone)


@tiles
def test_what_is_not_a_number_stays_so(always):
    left = matrix(64, 64, turned=False)
    left[3, 4], left[20, 1] = float("nan"), float("inf")
    found = multiply(left, torch.ones(64, 64))
    assert not found[[3, 20]].isfinite().any()
    assert found[4:20].isfinite().all()


def test_small_products_other_numbers_and_other_machines_are_torchs(monkeypatch):
    left, right = matrix(260, 260, turned=False), matrix(260, 260, turned=True)
    for kind, size in ((torch.float32, 150), (torch.float64, 260), (torch.bfloat16, 260)):
        a, b = left[:size, :size].to(kind), right[:size, :size].to(kind)
        assert torch.equal(multiply(a, b), a @ b)
    monkeypatch.setattr(kernels, "load", lambda: None)
    assert torch.equal(multiply(left, right), left @ right)
    assert torch.equal(multiply(left, right, out=left.clone(), add=True), torch.addmm(left, left, right))
    monkeypatch.setattr(kernels, "expected", lambda: False)
    assert not products.packs(left)


def test_a_machine_that_cannot_compile_does_without(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels, "expected", lambda: True)
    monkeypatch.setattr(kernels, "ask_for_tiles", lambda: True)

    def refuse(*_, **__):
        raise subprocess.CalledProcessError(1, "build")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert kernels.load.__wrapped__() is None


@tiles
def test_code_is_compiled_once(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run, times = subprocess.run, []
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: times.append(1) or run(*a, **k))
    assert all(kernels.load.__wrapped__() for _ in range(2))
    assert len(times) == 1


def small_llama() -> torch.nn.Module:
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=300,
        hidden_size=64,
        intermediate_size=112,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def outcome(model: torch.nn.Module, ids: torch.Tensor) -> list[torch.Tensor]:
    """Log-probabilities and every gradient."""
    model.zero_grad()
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[0]
    found = logprobs.linear_logprobs(hidden, model.lm_head.weight, ids[0].roll(-1), uniform=True)
    found.sum().backward()
    return [found.detach(), *(p.grad.clone() for p in model.parameters())]


@tiles
def test_a_model_learns_the_same(always, monkeypatch):
    model, ids = small_llama(), torch.randint(300, (1, 70), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(kernels, "load", lambda: None)
    plain = outcome(model, ids)
    monkeypatch.undo()
    monkeypatch.setattr(products, "_LEAST", 1)
    monkeypatch.setattr(products, "_LEAST_WORK", 1)
    names = lean.use_lean_parts(model)
    assert {"model.layers.1.self_attn.o_proj", "model.layers.1.mlp"} <= set(names)
    for found, given in zip(outcome(model, ids), plain, strict=True):
        # float32 rounds at 1e-7, and two blocks' sums in another order differ by some times that
        assert float((found - given).abs().max() / given.abs().max()) <= 1e-5


@tiles
def test_a_bias_is_added_and_learns(always):
    layer, x = torch.nn.Linear(64, 80), torch.randn(70, 64)
    plain = torch.autograd.grad(layer(x).square().sum(), list(layer.parameters()))
    assert lean.use_lean_parts(torch.nn.Sequential(layer)) == ["0"]
    found = torch.autograd.grad(layer(x).square().sum(), list(layer.parameters()))
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-3) for a, b in zip(found, plain, strict=True))  # of about 100


@tiles
def test_a_layer_that_became_another_keeps_its_own_code(always):
    class Doubled(torch.nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    layer, x = torch.nn.Linear(64, 64, bias=False), torch.randn(70, 64)
    holder = torch.nn.Sequential(layer)
    assert lean.use_lean_parts(holder) == ["0"]
    plain = layer(x)
    assert torch.allclose(plain, torch.nn.functional.linear(x, layer.weight), atol=1e-5)
    layer.__class__ = Doubled
    assert torch.allclose(layer(x), 2 * plain, atol=1e-5)
