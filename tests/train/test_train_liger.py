"""Kernels from outside: used where a small model computes the same with them, refused otherwise.

Liger's own need a GPU (tests/gpu); here others stand for them, put in the way Liger does it.
"""

from __future__ import annotations

import types

import pytest
import torch
from train_ranks import make_family

from sampan.core.errors import RecipeError, StageError
from sampan.core.spread import Spread
from sampan.model.checkpoint import load_model
from sampan.train.liger import prove_and_apply, use_liger_parts


def norm(self, x: torch.Tensor) -> torch.Tensor:
    """Qwen's norm, written in another way."""
    return self.weight * torch.nn.functional.rms_norm(x, x.shape[-1:], eps=self.variance_epsilon)


def without_mean(self, x: torch.Tensor) -> torch.Tensor:
    return self.weight * x


@pytest.fixture
def model(tiny, tmp_path):
    return load_model(make_family("qwen3", tiny, tmp_path))


def stand_in(monkeypatch, forward) -> list[dict]:
    """Kernels whose norm is `forward`: put into instances, and into transformers, as Liger's are."""
    from transformers.integrations import liger
    from transformers.models.qwen3 import modeling_qwen3

    asked = []

    def apply(model, config) -> None:
        asked.append(config)
        if forward is None:
            return
        modeling_qwen3.Qwen3RMSNorm = type("Fused", (), {})
        for module in model.modules():
            if type(module).__name__ == "Qwen3RMSNorm":
                module.forward = types.MethodType(forward, module)

    monkeypatch.setattr(liger, "apply_liger_kernel", apply)
    return asked


def test_kernels_that_compute_the_same_are_used_in_this_model_alone(model, monkeypatch):
    from transformers.models.qwen3 import modeling_qwen3

    known = modeling_qwen3.Qwen3RMSNorm
    asked = stand_in(monkeypatch, norm)
    norms = [module for module in model.modules() if type(module) is known]
    assert prove_and_apply(model, "cpu", torch.float32) == len(norms) == 9  # four in each of two blocks, and the last
    assert all(module.forward.__func__ is norm for module in norms)
    assert modeling_qwen3.Qwen3RMSNorm is known
    assert asked[0]["rms_norm"]
    assert asked[0]["swiglu"]
    assert not asked[0]["rope"], "which Liger replaces for every model of the process"
    assert not asked[0]["fused_linear_cross_entropy"]


def test_kernels_that_compute_something_else_are_refused(model, monkeypatch):
    stand_in(monkeypatch, without_mean)
    with pytest.raises(StageError, match="change what a qwen3 model computes"):
        prove_and_apply(model, "cpu", torch.float32)
    assert all(getattr(module.forward, "__func__", None) is not without_mean for module in model.modules())


def test_an_architecture_that_has_none_is_refused(model, monkeypatch):
    stand_in(monkeypatch, None)
    with pytest.raises(StageError, match="no kernels for qwen3"):
        prove_and_apply(model, "cpu", torch.float32)


def test_a_package_that_is_not_there_is_named(model, monkeypatch):
    import transformers.integrations.liger as liger

    monkeypatch.setattr(liger, "is_liger_kernel_available", lambda: False)
    with pytest.raises(StageError, match=r"sampan\[liger\]"):
        prove_and_apply(model, "cpu", torch.float32)


def test_they_need_a_gpu_and_are_not_compiled(model):
    with pytest.raises(StageError, match="need a GPU"):
        use_liger_parts(model, "cpu", torch.float32)
    with pytest.raises(RecipeError, match="give one"):
        Spread(compile=True, liger=True)
