"""How a training stage uses a machine or a cluster. None of it is identity: results agree to rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Processes and what each of them saves or spends. Bits are equal for one value of `processes`."""

    processes: int = 1
    """Processes that train together, one for each device; each holds its share of weights, gradients and moments."""
    tensor_parallel: int = 1
    """Processes that compute the same tokens, each with a part of every matrix, by transformers' plan for the model;
    the others of `processes` have tokens of their own. 1 = every process has tokens of its own."""
    context_parallel: int = 1
    """Processes that compute the same pieces of text, each with a cut of their tokens: what one token after the other
    takes is divided among them. 1 = every process has pieces of its own."""
    recompute: int = 0
    """Activation checkpointing: 0 keeps what every block computes, 1 computes every block again in the backward pass,
    k every k-th block."""
    sync: Literal["last", "each"] = "last"
    """When gradients are summed over processes: after the `last` micro-batch of a step, which holds a whole gradient in
    every process, or after `each`, which holds a share of it and sends more."""
    compile: bool = False
    """Compile the blocks with torch.compile."""
    liger: bool = False
    """Use Liger's kernels for norms and gated feed-forward layers, on a GPU."""
    launcher: str = ""
    """Command that starts the processes, such as `srun torchrun …`; they get RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR
    and MASTER_PORT from it. `ray` = on a Ray cluster. Empty = they are started on this machine."""
    restarts: int = 0
    """How often all are started again from the last checkpoint when one of them dies."""

    def __post_init__(self) -> None:
        if self.processes < 1 or self.recompute < 0 or self.restarts < 0:
            raise RecipeError("processes must be at least 1, recompute and restarts at least 0")
        if self.tensor_parallel < 1 or self.processes % self.tensor_parallel:
            raise RecipeError(f"--tensor-parallel {self.tensor_parallel} must divide --processes {self.processes}")
        groups = self.processes // self.tensor_parallel
        if self.context_parallel < 1 or groups % self.context_parallel:
            raise RecipeError(
                f"--context-parallel {self.context_parallel} must divide --processes {self.processes}"
                + f" / --tensor-parallel {self.tensor_parallel}" * (self.tensor_parallel > 1)
            )
        if self.compile and self.tensor_parallel > 1:
            raise RecipeError("--compile is not for matrices that are divided", where="--tensor-parallel")
        if self.compile and self.context_parallel > 1:
            raise RecipeError("--compile is not for pieces that are divided", where="--context-parallel")
        if self.compile and self.liger:
            raise RecipeError("--compile and --liger fuse the same operations: give one", where="--liger")
        if self.sync not in ("last", "each"):
            raise RecipeError(f"sync is last or each, not {self.sync}")


ALONE = Spread()
"""One process, nothing saved or spent."""
