"""Processes that train one model together: who they are, how they share weights and pieces, and their sums.

Weights, gradients and moments are divided among the processes by FSDP2, block by block; the pieces of a step are the
same for any number of processes and are dealt to them by a rule, so that only the order of sums depends on it. One
process takes the same path without any of it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.utils.checkpoint import checkpoint

from ..core.errors import StageError
from ..core.spread import Spread
from ..core.stage import Runtime
from ..model.checkpoint import load_model
from .context_parallel import share_rows
from .lean import use_plain_parts
from .logprobs import token_logprobs
from .masters import exact
from .packing import MicroBatch, Piece, by_group, split
from .tensor_parallel import gather_tokens, part, put_together, share_tokens, whole_size

_TIMEOUT = timedelta(minutes=30)
"""Longest wait for the others; reading a large model from a slow disk takes minutes."""


@dataclass(frozen=True)
class World:
    """This process among those that train together, or among some of them."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    mesh: Any = None
    group: Any = None
    """What torch.distributed calls these processes; None = all."""
    sides: Sides | None = None

    @property
    def weights(self) -> World:
        """Those among which FSDP divides weights: they have other tokens and the same parts of matrices."""
        return self.sides.weights if self.sides else self

    @property
    def data(self) -> World:
        """Those that have other pieces of a step, and the same cuts and parts."""
        return self.sides.data if self.sides else self

    @property
    def context(self) -> World:
        """Those that have the same pieces, and other cuts of them."""
        return self.sides.context if self.sides else World(device=self.device)

    @property
    def tensor(self) -> World:
        """Those that have the same tokens and other parts of matrices."""
        return self.sides.tensor if self.sides else World(device=self.device)

    def sum(self, values: Mapping[str, float]) -> dict[str, float]:
        """Values summed over processes; every process must give the same names in the same order."""
        if self.size == 1:
            return dict(values)
        sums = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(sums, group=self.group)
        return dict(zip(values, sums.tolist(), strict=True))

    def sum_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor summed over processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor, group=self.group)
        return tensor

    def first(self, value: float) -> float:
        """The value that process 0 has."""
        return self.sum({"": value if self.rank == 0 else 0.0})[""]

    def wait(self) -> None:
        """Until every process has come here."""
        self.sum({"": 0.0})


@dataclass(frozen=True)
class Sides:
    """This process among those that differ from it in one thing (see the properties of `World`)."""

    weights: World = field(default_factory=World)
    data: World = field(default_factory=World)
    context: World = field(default_factory=World)
    tensor: World = field(default_factory=World)


def join(runtime: Runtime) -> World:
    """Meet the other processes of this run, as RANK and its companions in the environment say; at once if alone.

    StageError if they are not as many as the run wants.
    """
    if runtime.spread.processes == 1:
        return World(device=runtime.device)
    spread = runtime.spread
    cuda = runtime.device.startswith("cuda")
    return _meet(spread.processes, spread.context_parallel, spread.tensor_parallel, cuda)


@functools.cache
def _meet(wanted: int, cuts: int, parts: int, cuda: bool) -> World:
    rank, size, local = (int(os.environ.get(name, -1)) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if size != wanted or not 0 <= rank < size:
        raise StageError(
            f"{wanted} processes were asked for, and the environment has RANK={rank} of WORLD_SIZE={size}",
            how="Let the launcher start as many as --processes says.",
        )
    if cuda:
        torch.cuda.set_device(max(0, local))
    device = f"cuda:{max(0, local)}" if cuda else "cpu"
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=_TIMEOUT)
    kind = "cuda" if cuda else "cpu"
    if cuts == parts == 1:
        return World(rank, size, device, dist.init_device_mesh(kind, (size,)))
    mesh = dist.init_device_mesh(kind, (size // parts, parts), mesh_dim_names=("weights", "tensor"))
    found = {name: _side(mesh[name], device) for name in ("weights", "tensor")}
    if cuts == 1:
        found["data"] = found["weights"]
    else:
        shape = (size // parts // cuts, cuts, parts)
        deep = dist.init_device_mesh(kind, shape, mesh_dim_names=("data", "context", "tensor"))
        found |= {name: _side(deep[name], device) for name in ("data", "context")}
    return World(rank, size, device, mesh, sides=Sides(**found))


def _side(mesh: Any, device: str) -> World:
    return World(mesh.get_local_rank(), mesh.size(), device, mesh, mesh.get_group())


_ALONE = World()


class Scorer(torch.nn.Module):
    """The model as one function from a micro-batch to log-probabilities [N], or to what `score` makes of the two, so
    that FSDP sees one forward pass."""

    def __init__(
        self,
        model: Any,
        dtype: torch.dtype,
        *,
        uniform: bool,
        score: Callable[..., torch.Tensor] | None = None,
        world: World = _ALONE,
    ) -> None:
        super().__init__()
        self.model, self._dtype, self._uniform, self._score = model, dtype, uniform, score
        self._context, self._tensor = world.context, world.tensor

    def forward(self, batch: MicroBatch, score: Callable[..., torch.Tensor] | None = None) -> torch.Tensor:
        """What the loss reads, or what another `score` makes of model, batch and number format."""
        score = score or self._score
        if self._context.size == 1:
            return self._of_rows(batch, score)
        own, places_n = share_rows(batch, self._context)
        return gather_tokens(self._of_rows(own, score), places_n, len(batch.index_N), self._context)

    def _of_rows(self, batch: MicroBatch, score: Callable[..., torch.Tensor] | None) -> torch.Tensor:
        if self._tensor.size == 1:
            return self._scores(batch, score)
        own, places_n = share_tokens(batch, self._tensor)
        return gather_tokens(self._scores(own, score), places_n, len(batch.index_N), self._tensor)

    def _scores(self, batch: MicroBatch, score: Callable[..., torch.Tensor] | None) -> torch.Tensor:
        if score:
            return score(self.model, batch, self._dtype)
        return token_logprobs(self.model, batch, dtype=self._dtype, uniform=self._uniform)


def blocks(model: Any) -> list[torch.nn.Module]:
    """The decoder's blocks: the model's largest list of modules."""
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList) and len(module)]
    return list(max(lists, key=lambda found: sum(p.numel() for p in found.parameters()), default=[]))


def shard(scorer: Scorer, world: World, dtype: torch.dtype) -> None:
    """Divide the parameters among the processes (FSDP2), block by block; they become DTensors, in place.

    Parameters are gathered in `dtype`, gradients are summed in float32, and a step's loss must have been divided by the
    units of all processes.
    """
    if world.weights.size == 1:
        return
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    marks = {name: dict(vars(parameter)) for name, parameter in scorer.named_parameters()}
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for module in [*blocks(scorer.model), scorer]:
        fully_shard(module, mesh=world.weights.mesh, mp_policy=policy)
    for module in [*blocks(scorer.model), scorer]:
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)
    for name, parameter in scorer.named_parameters():  # which are new objects
        vars(parameter).update(marks[name])


def prepare_blocks(model: Any, spread: Spread) -> None:
    """Let every k-th block forget what it computed and compute it again in the backward pass, and compile the blocks,
    as `spread` asks. Neither changes what is learnt. What is compiled is the model's own code."""
    if spread.compile:
        use_plain_parts(model)
    for number, block in enumerate(blocks(model)):
        if spread.recompute and number % spread.recompute == 0:
            block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
        if spread.compile:
            block.compile(dynamic=True)


def gather(
    model: Any,
    source: Path,
    world: World,
    *,
    dtype: str,
    states: Mapping[torch.Tensor, Mapping[str, torch.Tensor]],
    prepare: Callable[[Any], None],
) -> Any:
    """The whole model in `dtype`, on the CPU of process 0, made from its origin `source`, `prepare`d as `model` was;
    None in the others. Trained weights are as exact as the optimiser's `states` have them and marked as such, others as
    in the origin."""
    plain = load_model(source, dtype=dtype) if world.rank == 0 else None
    if plain is not None:
        prepare(plain)
    targets = dict(plain.named_parameters()) if plain is not None else {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        value = like(exact(parameter, states.get(parameter, {})), parameter)
        value = value.full_tensor() if hasattr(value, "full_tensor") else value
        value = put_together(value, parameter, world.tensor)
        if name in targets:
            targets[name].requires_grad_().data.copy_(value)
    return plain


def deal(pieces: Sequence[Piece], hands: int, *, linear: float) -> list[list[Piece]]:
    """Pieces for `hands` processes, of about equal cost; groups stay together.

    A token costs `linear` plus the tokens of its piece (see attention_free_cost). The dearest group goes first, each to
    the process with the least so far.
    """
    if hands == 1:
        return [list(pieces)]
    groups = by_group(pieces)
    costs = [sum(len(piece.ids) * (linear + len(piece.ids)) for piece in group) for group in groups]
    dealt: list[list[Piece]] = [[] for _ in range(hands)]
    loads = [0.0] * hands
    for number in sorted(range(len(groups)), key=lambda number: -costs[number]):
        hand = loads.index(min(loads))
        dealt[hand] += groups[number]
        loads[hand] += costs[number]
    return dealt


def attention_free_cost(model: Any) -> float:
    """What a token costs without attention, in units of what attending to two tokens costs it (FLOPs of matrices)."""
    members = list(blocks(model))
    width = model.config.hidden_size
    return sum(whole_size(p) for block in members for p in block.parameters()) / max(1, len(members) * width)


@dataclass(frozen=True)
class Turn:
    """One pass of this process: its pieces, and whether they count or only keep it in step with the others."""

    pieces: list[Piece]
    counts: bool
    last: bool


def turns(pieces: Sequence[Piece], world: World, *, micro_batch_tokens: int, linear: float) -> list[Turn]:
    """This process's passes over a step's pieces; all processes have equally many, since each pass is a meeting."""
    parts = [
        [some for some in split(hand, micro_batch_tokens) if any(piece.trained for piece in some)]
        for hand in deal(pieces, world.data.size, linear=linear)
    ]
    own, count = parts[world.data.rank], max(map(len, parts))
    filler = min(
        by_group(pieces), key=lambda group: (not any(p.trained for p in group), sum(len(p.ids) for p in group))
    )
    return [
        Turn(own[number] if number < len(own) else filler, number < len(own), number == count - 1)
        for number in range(count)
    ]


def like(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Rows of a tensor as one that is divided as a parameter is; those of another width, such as scales, stay this
    process's own."""
    if not hasattr(parameter, "to_local") or value.shape[1:] != parameter.shape[1:]:
        return value
    from torch.distributed.tensor import DTensor

    mesh, places, shape, stride = parameter.device_mesh, parameter.placements, parameter.shape, parameter.stride()
    return DTensor.from_local(value, mesh, places, run_check=False, shape=shape, stride=stride)


def rows(parameter: torch.Tensor, world: World) -> tuple[int, int]:
    """(first, end) of the rows that this process holds of a parameter, or of its part of one (see tensor_parallel)."""
    if not hasattr(parameter, "to_local"):
        return 0, parameter.shape[0] if parameter.dim() else 1
    rank, size = world.weights.rank, world.weights.size
    chunk = -(-parameter.shape[0] // size)
    first, end = (min(parameter.shape[0], chunk * number) for number in (rank, rank + 1))
    if end - first != len(parameter.to_local()):
        raise StageError("parameters are divided in a way that checkpoints do not know")
    return first, end


def place(parameter: torch.Tensor, world: World) -> list[int]:
    """[first, end] of the rows of the whole parameter that this process holds; [first, end, left, right] where it has
    a part of the columns."""
    first, end = rows(parameter, world)
    found = part(parameter)
    if found is None:
        return [first, end]
    before = found.rank * parameter.shape[found.dim]
    if found.dim == 0:
        return [before + first, before + end]
    return [first, end, before, before + parameter.shape[1]]
