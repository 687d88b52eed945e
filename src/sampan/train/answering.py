"""What a stage that generates or scores with models takes on a named machine: time, memory of each device, cost.

Such a stage's estimate has `forward_flops`, of all tokens that go through a model at once (prompts, texts that are
scored), and `decode_bytes`, the weights that are read over and over while answers are written: a step reads them all to
give each of `batch_size` rows a token, and is as fast as the memory. Both are divided among the devices, each of which
holds a whole model.
"""

from __future__ import annotations

from collections.abc import Mapping

from .machines import USABLE, Machine, Outlook

DECODE_SHARE = 0.4
"""Of the memory's bandwidth that writing answers reaches. Ours: about half of the 77 % that vLLM was measured to reach
with Llama 3.1 8B on an A100 (https://johnmusgrave.com/p/vllm-throughput-latency-sweep-on), since our loop starts every
kernel from Python; it has not been timed on a GPU, and keys and values that are read are in this share too."""


def answering(estimate: Mapping[str, float], machine: Machine) -> Outlook | None:
    """The forecast of a stage that generates or scores; None for one whose estimate says nothing of it."""
    if not estimate.get("forward_flops") and not estimate.get("decode_bytes"):
        return None
    half = estimate.get("number_bytes", 4) <= 2
    peak = machine.flops if half else machine.float32_flops
    forward = estimate.get("forward_flops", 0.0) / (peak * machine.mfu)
    decode = estimate.get("decode_bytes", 0.0) / (machine.bandwidth * DECODE_SHARE)
    seconds = (forward + decode) / machine.devices
    memory = estimate.get("memory_bytes", 0.0)
    return Outlook(
        seconds=seconds,
        memory_bytes=memory,
        cost=seconds / 3600 * machine.devices * machine.price,
        recompute=0,
        sync="last",
        micro_batch_tokens=0,
        fits=memory <= USABLE * machine.memory_bytes,
    )
