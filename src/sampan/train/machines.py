"""What a training stage takes on a named machine: time, memory of each device, cost, and the layout that fits.

Time is the model's FLOPs (`shapes.Shape.token_flops`) over the machine's peak and its MFU, the share of the peak that
training reaches. MFU counts what the model needs and not what a layout computes again (PaLM, arXiv:2204.02311, appendix
B), so a run with recomputation is as fast as its MFU says. `machines.json` has for each machine the public runs whose
speeds its own MFU is the median of; docs/how-to/cost.md compares them with the runs of the two papers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import RecipeError, did_you_mean
from .shapes import Shape, shape_of

USABLE = 0.92
"""Share of a device's memory that tensors may take; the rest is the driver's, the allocator's and the network's."""
WEIGHT_BYTES = {"float32": 4, "bfloat16": 2}
"""Of a parameter, divided among the devices as its gradient and moments are, if it is trained."""
_BLOCK_BYTES = 34
"""That a decoder block keeps for its backward pass, of a token and a unit of width, in 2-byte numbers (Korthikanti et
al., arXiv:2205.05198 §4, without the attention matrix, which no kernel keeps)."""
_WHOLE_BLOCK_BYTES = 10
"""Of these, what is whole in every process that has a part of the matrices: norms, their inputs and outputs (§4.2)."""
_GATHERED_BYTES = 8
"""Keys and values of all tokens and their gradients, in 2-byte numbers, where a document is divided among devices: of
one block, of a token and a unit of width, if there were as many heads of keys as of queries."""
_TENSOR_SIZES = (2, 4, 8)
"""Parts that matrices are divided into, at most as many as the devices of one machine usually are: sums over them go
around twice a block, which slower links do not bear. Ours."""
_INPUT_BYTES = 2
"""That is kept of a block which is computed again: its input."""
_LOSS_BYTES = 3 * 256 * 2**20
"""Logits of one chunk, their derivative and the rest of the loss."""


@dataclass(frozen=True)
class Machine:
    """`devices` equal devices. `flops` is the peak of one; `price` is per device and hour, in any currency."""

    name: str
    devices: int
    flops: float
    memory_bytes: float
    mfu: float
    number_bytes: int = 2
    """Of the numbers it computes with."""
    price: float = 0.0
    float32_flops: float = 0.0
    """The peak of one device in float32."""
    bandwidth: float = 0.0
    """Bytes per second that one device reads from its memory, by its data sheet."""


@dataclass(frozen=True)
class Outlook:
    """A stage on a machine. `recompute`, `sync`, `micro_batch_tokens`, `tensor_parallel` and `context_parallel` are the
    layout that fits; none if `fits` is False, and then the figures are those of the most thrifty one. `why`: what
    speaks for it, or what to know of it."""

    seconds: float
    memory_bytes: float
    cost: float
    recompute: int
    sync: str
    micro_batch_tokens: int
    fits: bool
    steps: int | None = None
    tensor_parallel: int = 1
    context_parallel: int = 1
    why: str = ""

    @property
    def layout(self) -> str:
        """The options to give, for a person."""
        parts = [f"--tensor-parallel {self.tensor_parallel}"] * (self.tensor_parallel > 1)
        parts += [f"--context-parallel {self.context_parallel}"] * (self.context_parallel > 1)
        parts += [f"--recompute {self.recompute}"] * bool(self.recompute)
        parts += [f"--sync {self.sync}"] * (self.sync != "last")
        return " ".join([*parts, *([f"micro_batch_tokens={self.micro_batch_tokens}"] * bool(self.micro_batch_tokens))])


def known_machines() -> dict[str, dict[str, Any]]:
    """The table of machines: peak, memory, the MFU that is assumed, and the `runs` it comes from."""
    return json.loads(Path(__file__).with_name("machines.json").read_text(encoding="utf-8"))


def run_mfu(run: Mapping[str, Any], peak: float) -> float:
    """The MFU, as FLOPs are counted here, of a public run in the table, from its tokens per second on each device."""
    return run["tokens_per_second"] * shape_of(run).token_flops(run["context_len"]) / peak


def open_machine(name: str, *, mfu: float | None = None, price: float = 0.0) -> Machine:
    """The machine `KIND` or `KINDxN`, such as h100x8. RecipeError if there is no such kind."""
    table = known_machines()
    found = re.fullmatch(r"([a-z0-9]+?)(?:x([1-9]\d*))?", name.lower())
    kind = found[1] if found else name
    if kind not in table:
        raise RecipeError(f"there is no machine '{name}'", where="--machine", how=did_you_mean(kind, table))
    if mfu is not None and not 0 < mfu <= 1:
        raise RecipeError("MFU is a share above 0 and at most 1", where="--mfu")
    row = table[kind]
    memory = row["memory_gib"] * 2**30
    given = {key: row[key] for key in ("flops", "number_bytes", "float32_flops", "bandwidth")}
    return Machine(name, int(found[2] or 1), memory_bytes=memory, mfu=mfu or row["mfu"], price=price, **given)


def implied_mfu(flops: float, hours: float, machine: Machine) -> float:
    """The share of the machine's peak that a run of `flops` in `hours` reached."""
    return flops / (hours * 3600 * machine.devices * machine.flops)


def outlook(estimate: Mapping[str, float], machine: Machine) -> Outlook | None:
    """The forecast of a training stage on `machine`; None for a stage whose estimate has no `micro_batch_tokens`.

    The first layout that fits is taken, from the fastest to the most thrifty. Matrices are divided (tensor parallelism)
    only where FSDP alone does not fit, or a step can hold fewer sequences than there are devices, and then among as few
    devices as will do; documents (context parallelism) where dividing matrices does not help.
    """
    if "micro_batch_tokens" not in estimate:
        return None
    plain = _best(estimate, machine, 1)
    step, context = estimate.get("step_tokens", 0), estimate["context_len"]
    starved = machine.devices > 1 and 0 < step < machine.devices * context
    if plain.fits and not starved:
        return plain
    divided = [(size, 1) for size in _tensor_sizes(estimate, machine)]
    divided += [(1, size) for size in _context_sizes(estimate, machine)]
    for parts, cuts in divided:
        found = _best(estimate, machine, parts, cuts)
        if not found.fits:
            continue
        if not plain.fits:
            return replace(found, why=f"FSDP alone needs {plain.memory_bytes / 2**30:.0f} GiB each")
        if step >= machine.devices // (parts * cuts) * context:
            return replace(found, why=_starved(step, context, machine))
    return replace(plain, why=_starved(step, context, machine)) if plain.fits else plain


def _starved(step: float, context: float, machine: Machine) -> str:
    return f"a step may hold no more than {max(1, int(step // context))} sequences for {machine.devices} devices"


def _tensor_sizes(estimate: Mapping[str, float], machine: Machine) -> list[int]:
    """Numbers of parts that the devices, the heads as far as they are known, and the stage's settings allow."""
    if not estimate.get("divisible"):
        return []
    heads = int(estimate.get("kv_heads", 0))
    return [size for size in _TENSOR_SIZES if machine.devices % size == 0 and heads % size == 0]


def _context_sizes(estimate: Mapping[str, float], machine: Machine) -> list[int]:
    """Numbers of cuts of a document that the devices and the stage allow."""
    sizes = (2**power for power in range(1, machine.devices.bit_length()))
    return [size for size in sizes if machine.devices % size == 0] if estimate.get("shareable") else []


def _best(estimate: Mapping[str, float], machine: Machine, tensor_parallel: int, context_parallel: int = 1) -> Outlook:
    """The fastest layout that fits with so many parts of every matrix and cuts of every document, or else the most
    thrifty one."""
    tokens, model = estimate["tokens"], shape_of(estimate)
    per_step = estimate.get("step_tokens", 0)
    context, asked = int(estimate["context_len"]), int(estimate["micro_batch_tokens"])
    sizes = sorted({asked, min(asked, context)}, reverse=True)
    known = ("trained_parameters", "trained_bytes", "weight_bytes", "loaded_whole", "beside_bytes")
    given = {name: estimate[name] for name in known if name in estimate}
    given |= {"tensor_parallel": tensor_parallel, "context_parallel": context_parallel}
    layouts = [(recompute, sync, size) for recompute in (0, 2, 1) for sync in ("last", "each") for size in sizes]
    for recompute, sync, size in layouts:
        passes = per_step * tensor_parallel * context_parallel / (size * machine.devices)
        whole = sync == "last" and passes > 1
        memory = device_memory(model, machine, size, recompute=recompute, whole_grad=whole, **given)
        fits = memory <= USABLE * machine.memory_bytes
        if fits:
            break
    seconds = estimate["flops"] / (machine.devices * machine.flops * machine.mfu)
    cost = seconds / 3600 * machine.devices * machine.price
    steps = math.ceil(round(tokens / per_step, 6)) if per_step else None
    return Outlook(seconds, memory, cost, recompute, sync, size, fits, steps, tensor_parallel, context_parallel)


def device_memory(
    model: Shape,
    machine: Machine,
    tokens: int,
    *,
    recompute: int = 0,
    whole_grad: bool = False,
    trained_parameters: float | None = None,
    trained_bytes: float = 12,
    weight_bytes: float = WEIGHT_BYTES["float32"],
    loaded_whole: float = 0,
    beside_bytes: float = 0,
    tensor_parallel: int = 1,
    context_parallel: int = 1,
) -> float:
    """Bytes that each device needs at its peak: loading the model, or a step over micro-batches of `tokens`.

    `whole_grad`: every device holds the whole gradient between the micro-batches of a step. `trained_parameters`, all
    if None, have a gradient and moments, of `trained_bytes` each. `loaded_whole`: every device loads the whole model
    before it is divided; `beside_bytes`: of another model that it holds. `tensor_parallel`: parts that each matrix of
    the blocks is in; embeddings, norms and what comes between blocks are whole in all of them. `context_parallel`:
    devices that share the tokens of a micro-batch.
    """
    width, layers, parameters = model.width, model.layers, model.parameters
    rows = model.vocabulary * width
    block = max((parameters - rows - model.looked_up) / layers, 12 * width * width)
    number = machine.number_bytes
    divided = machine.devices > 1
    trained = parameters if trained_parameters is None else trained_parameters
    parts = tensor_parallel
    outside = min(1.0, max(0.0, 1 - block * layers / parameters))
    state = (weight_bytes * parameters + trained_bytes * trained) / machine.devices * (1 + (parts - 1) * outside)
    gathered = number * (2 * block / parts + rows + model.looked_up) if divided else 0.0
    gradient = 4 * trained * ((1 - outside) / parts + outside) if whole_grad and divided else 0.0
    kept = layers if not recompute else layers - layers / recompute + 1
    kept_bytes = _WHOLE_BLOCK_BYTES + (_BLOCK_BYTES - _WHOLE_BLOCK_BYTES) / parts
    own = tokens / context_parallel
    activations = number / 2 * own * width * (kept_bytes * kept + _INPUT_BYTES * layers)
    keys = number / 2 * tokens * width * _GATHERED_BYTES if context_parallel > 1 else 0.0
    step = state + gathered + gradient + activations + keys + _LOSS_BYTES
    return beside_bytes + max(weight_bytes * parameters if loaded_whole else 0.0, step)
