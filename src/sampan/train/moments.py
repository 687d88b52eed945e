"""AdamW with moments in the number format that the run asks for."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..core.errors import StageError
from .distributed import local
from .settings import Optimisation


def open_adamw(groups: list[dict[str, Any]], params: Optimisation) -> torch.optim.Optimizer:
    """AdamW over `groups`; StageError if its moments need a library that is not there."""
    known = {"lr": params.lr, "betas": (params.beta1, params.beta2), "eps": params.eps}
    if params.moments == "float32":
        return torch.optim.AdamW(groups, fused=True, **known)
    if params.moments == "bfloat16":
        return Bfloat16AdamW(groups, **known)
    if any(hasattr(p, "to_local") for group in groups for p in group["params"]):
        raise StageError("moments in 8 bits are for one process", where="moments", how="Use bfloat16, or one process.")
    try:
        from torchao.optim import AdamW8bit
    except ImportError as error:
        raise StageError(
            f"moments in 8 bits need torchao ({error})", where="moments", how="pip install 'sampan[lowbit]'"
        ) from error

    class Int8AdamW(AdamW8bit):
        """torchao's, compiled on a GPU only: on a CPU that takes longer than it saves, and needs a compiler."""

        def step(self, closure: Any = None) -> Any:
            on_cpu = all(p.device.type == "cpu" for group in self.param_groups for p in group["params"])
            with torch.compiler.set_stance("force_eager" if on_cpu else "default"):
                return super().step(closure)

    return Int8AdamW(groups, **known)


_PARTS = ("codes", "scale", "qmap")


def dissolve(name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    """A moment as plain tensors by name: itself, or the codes, scales and table of one in 8 bits."""
    return {f"{name}.{part}": getattr(value, part) for part in _PARTS} if hasattr(value, "qmap") else {name: value}


def is_part(name: str) -> bool:
    """Whether `name` is of a part of a moment in 8 bits."""
    return name.rpartition(".")[2] in _PARTS


def restore(parts: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The moments of one parameter from what `dissolve` made of them."""
    from torchao.optim.subclass_8bit import OptimState8bit

    found = {}
    for name in {name.rpartition(".")[0] for name in parts}:
        codes, scale, table = (parts[f"{name}.{part}"] for part in _PARTS)
        found[name] = OptimState8bit(codes, scale, table, bool(table.min() < 0), torch.float32)
    return found


class Bfloat16AdamW(torch.optim.Optimizer):
    """AdamW (arXiv:1711.05101) whose moments are rounded to bfloat16 between steps and computed in float32, one
    parameter after another."""

    def __init__(self, groups: list[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "step" not in state:
            state["step"] = torch.zeros(())
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(parameter, dtype=torch.bfloat16)
        state["step"] += 1
        beta1, beta2 = group["betas"]
        step, weight, grad = float(state["step"]), local(parameter), local(parameter.grad)
        mean, square = local(state["exp_avg"]), local(state["exp_avg_sq"])
        first = mean.float().lerp_(grad, 1 - beta1)
        second = square.float().mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        mean.copy_(first)
        square.copy_(second)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        below = second.sqrt_().div_(math.sqrt(1 - beta2**step)).add_(group["eps"])
        weight.addcdiv_(first, below, value=-group["lr"] / (1 - beta1**step))
