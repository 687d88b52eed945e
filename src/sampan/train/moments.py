"""AdamW with moments, and weights, in the number formats that the run asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from .int8_moments import blocks_of, decode, encode
from .masters import LOW, dice_of, join, local, rounded_by_chance, split
from .settings import Optimisation

_ROWS_OF = {"cpu": 1 << 20, "cuda": 1 << 24}
"""Numbers that are updated at once: a few float32 tensors of this size are there beside the state."""
_NAMES = ("exp_avg", "exp_avg_sq")
_SCALE = "_scale"


def open_adamw(groups: list[dict[str, Any]], params: Optimisation) -> torch.optim.Optimizer:
    """AdamW over `groups`: torch's where weights and moments are float32."""
    known = {"lr": params.lr, "betas": (params.beta1, params.beta2), "eps": params.eps}
    low = any(parameter.dtype == torch.bfloat16 for group in groups for parameter in group["params"])
    if params.moments == "float32" and not low:
        return torch.optim.AdamW(groups, fused=True, **known)
    stochastic = params.weights_rounding == "stochastic"
    return FrugalAdamW(groups, **known, moments=params.moments, stochastic=stochastic, seed=params.seed)


class FrugalAdamW(torch.optim.Optimizer):
    """AdamW (arXiv:1711.05101) whose moments are kept in float32, bfloat16 or 8 bits between steps, and whose weights
    may be bfloat16 (see masters). It computes in float32, some rows of a parameter after the other.

    Vectors keep float32 moments where matrices have 8 bits: they are few.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        moments: str = "float32",
        stochastic: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})
        self._moments, self._stochastic, self._seed = moments, stochastic, seed

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        number = 0
        for group in self.param_groups:
            for parameter in group["params"]:
                number += 1
                if parameter.grad is not None:
                    self._update(parameter, group, number)

    def begin(self, parameter: torch.Tensor) -> dict[str, Any]:
        """The state of a parameter, made if it is not there."""
        state = self.state[parameter]
        if LOW not in state and parameter.dtype == torch.bfloat16 and not self._stochastic:
            state[LOW] = torch.zeros_like(parameter, dtype=torch.int16, requires_grad=False)
        return state

    def _update(self, parameter: torch.Tensor, group: dict[str, Any], number: int) -> None:
        state = self.begin(parameter)
        if "step" not in state:
            state["step"] = torch.zeros(())
            self._make_moments(parameter, state)
        state["step"] += 1
        held = {name: local(value) for name, value in state.items() if value.dim()}
        weight, grad, step = local(parameter), local(parameter.grad), int(state["step"])
        dice = None
        if self._stochastic and weight.dtype == torch.bfloat16:
            dice = dice_of(weight.device, self._seed, step, number, _place(parameter))
        for span in _spans(weight):
            part = {name: value[span] for name, value in held.items()}
            exact = join(weight[span], part[LOW]) if LOW in part else weight[span].float()
            _step(exact, grad[span].float(), part, group, step)
            if LOW in part:
                high, low = split(exact)
                weight[span].copy_(high)
                part[LOW].copy_(low)
            elif dice is not None:
                weight[span].copy_(rounded_by_chance(exact, dice))

    def _make_moments(self, parameter: torch.Tensor, state: dict[str, Any]) -> None:
        coded = self._moments == "int8" and parameter.dim() > 1
        kept = torch.bfloat16 if self._moments == "bfloat16" else torch.float32
        for name in _NAMES:
            state[name] = torch.zeros_like(parameter, dtype=torch.uint8 if coded else kept, requires_grad=False)
            if coded:
                rows = local(parameter).flatten(1)
                shape = rows.shape[0], blocks_of(math.prod(parameter.shape[1:]))
                state[name + _SCALE] = rows.new_zeros(shape, dtype=torch.float32)


def _step(weight: torch.Tensor, grad: torch.Tensor, held: dict[str, torch.Tensor], group: dict, step: int) -> None:
    """One update of float32 rows in place, with the moments read from `held` and written there."""
    beta1, beta2 = group["betas"]
    first, second = (_read(held, name) for name in _NAMES)
    first.lerp_(grad, 1 - beta1)
    second.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    _write(held, _NAMES[0], first)
    _write(held, _NAMES[1], second)
    weight.mul_(1 - group["lr"] * group["weight_decay"])
    below = second.sqrt().div_(math.sqrt(1 - beta2**step)).add_(group["eps"])
    weight.addcdiv_(first, below, value=-group["lr"] / (1 - beta1**step))


def _read(held: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    if name + _SCALE not in held:
        return held[name].float()
    codes = held[name]
    return decode(codes.flatten(1), held[name + _SCALE], signed=name == _NAMES[0]).view(codes.shape)


def _write(held: dict[str, torch.Tensor], name: str, value: torch.Tensor) -> None:
    if name + _SCALE not in held:
        held[name].copy_(value)
    else:
        encode(value.flatten(1), held[name].flatten(1), held[name + _SCALE], signed=name == _NAMES[0])


def _spans(weight: torch.Tensor) -> Iterator[slice]:
    """Rows that are updated at once."""
    count = len(weight)
    size = max(1, _ROWS_OF.get(weight.device.type, 1 << 20) * count // max(1, weight.numel()))
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _place(parameter: torch.Tensor) -> int:
    """The number of this process among those that have other rows of the parameter."""
    return parameter.device_mesh.get_local_rank() if hasattr(parameter, "to_local") else 0
