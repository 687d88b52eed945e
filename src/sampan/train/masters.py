"""Weights in bfloat16 of which no update is lost.

A bfloat16 number is the upper half of a float32 one and keeps 8 bits: an update below 1/256 of a weight, as nearly all
of a small learning rate's are, would be rounded away. Either the optimiser keeps the lower half (`kept`: 16 bits, with
which the weight is a float32 number again; Split-SGD, arXiv:2005.04680), or each weight is rounded up or down by
chance in proportion to where it lies between two numbers (`stochastic`: nothing to keep, right in the mean;
arXiv:2010.06192).

The upper half is the nearest bfloat16 number, so that the lower one is the signed difference of the two numbers' bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch

LOW = "low"
"""Its name among the optimiser's state of a parameter."""
_HALF = 1 << 15


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This process's part of a divided tensor, or the tensor."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def split(exact: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(bfloat16, int16): the nearest numbers, and what must be added to their bits for the float32 ones."""
    bits = exact.contiguous().view(torch.int32)
    high = (bits + _HALF) >> 16
    low = bits - (high << 16)
    return high.to(torch.int16).view(torch.bfloat16), low.to(torch.int16)


def join(high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """The float32 numbers that `split` took apart."""
    bits = (high.contiguous().view(torch.int16).int() << 16) + low.int()
    return bits.view(torch.float32)


def exact(parameter: torch.Tensor, state: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """This process's part of a weight as the optimiser has it: float32 where it keeps the lower half."""
    held = local(parameter.detach())
    return join(held, local(state[LOW])) if LOW in state else held


@torch.no_grad()
def put(parameter: torch.Tensor, state: Mapping[str, torch.Tensor], value: torch.Tensor) -> None:
    """Give this process's part of a weight a value, lower half and all."""
    if LOW not in state:
        local(parameter).copy_(value)
        return
    high, low = split(value.float())
    local(parameter).copy_(high)
    local(state[LOW]).copy_(low)


def rounded_by_chance(exact: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
    """float32 numbers as bfloat16, up or down by chance; the mean of many such roundings is the number."""
    bits = exact.contiguous().view(torch.int32)
    noise = torch.randint(1 << 16, bits.shape, dtype=torch.int32, device=bits.device, generator=dice)
    return ((bits + noise) >> 16).to(torch.int16).view(torch.bfloat16)


def dice_of(device: torch.device, *what: int) -> torch.Generator:
    """A generator whose numbers depend on `what` only, so that a resumed run draws the same."""
    digest = hashlib.sha256("/".join(map(str, what)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "big"))
