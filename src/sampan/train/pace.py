"""How fast a run goes: tokens per second, time left, the share of the device's peak, memory. For logs only."""

from __future__ import annotations

import sys
import time
from typing import Any

import torch

from ..core.stage import Runtime
from .distributed import World, attention_free_cost, blocks
from .machines import known_machines
from .resume import Progress
from .settings import Optimisation

_TELL_SECONDS = 60.0


class Pace:
    """Measures from its making on. `tokens` have been trained on before, `total` are those of the whole run."""

    def __init__(
        self, model: Any, params: Optimisation, tokens: int, total: int, world: World, dtype: torch.dtype
    ) -> None:
        self._first, self._total, self._world = tokens, total, world
        self._began = self._told = time.monotonic()
        self._flops = token_flops(model, params.context_len)
        self._peak = peak_flops(world.device, dtype)

    def now(self, progress: Progress) -> dict[str, float]:
        """Figures up to now: tokens_per_second, seconds_left, mfu where the peak is known, memory_bytes at most."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        rate = (progress.tokens - self._first) / seconds
        left = self._total - progress.tokens - progress.skipped_tokens
        out = {"tokens_per_second": round(rate, 1), "seconds_left": round(left / rate, 1) if rate else 0.0}
        if self._peak:
            out["mfu"] = round(rate * self._flops / (self._peak * self._world.size), 4)
        if used := peak_memory(self._world.device):
            out["memory_bytes"] = used
        return out

    def tell(self, progress: Progress, runtime: Runtime) -> None:
        """A line in the log, once a minute."""
        if time.monotonic() - self._told < _TELL_SECONDS or self._world.rank:
            return
        self._told = time.monotonic()
        row = next((row for row in reversed(progress.rows) if "loss" in row), None)
        runtime.log(line(progress.step, row["loss"] if row else None, self.now(progress)))
        worst = sorted(progress.stream_loss.items(), key=lambda pair: -pair[1])
        if len(worst) > 1:
            runtime.log("loss by stream: " + ", ".join(f"{name} {loss:.3f}" for name, loss in worst[:12]))


def line(step: int, loss: float | None, now: dict[str, float]) -> str:
    """The figures for a person."""
    hours, rest = divmod(int(now["seconds_left"]), 3600)
    parts = [f"step {step}"]
    parts += [f"loss {loss:.4f}"] * (loss is not None)
    parts += [f"{now['tokens_per_second']:,.0f} tokens/s", f"{hours}:{rest // 60:02d} h left"]
    if "mfu" in now:
        parts.append(f"MFU {now['mfu']:.1%}")
    if "memory_bytes" in now:
        parts.append(f"{now['memory_bytes'] / 2**30:.1f} GiB")
    return ", ".join(parts)


def token_flops(model: Any, context_len: int) -> float:
    """FLOPs of training on one token: six for each parameter of a matrix it passes, and attention over half a context.
    The embedding is looked up, not multiplied; a tied head is."""
    members = blocks(model)
    width = model.config.hidden_size
    passed = attention_free_cost(model) * len(members) * width + model.get_output_embeddings().weight.numel()
    return 6 * passed + 6 * len(members) * width * context_len


def peak_memory(device: str) -> int:
    """Bytes of the GPU, or of this process on a CPU, that were in use at most; 0 where the system does not say."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def peak_flops(device: str, dtype: torch.dtype) -> float:
    """Peak of the device in bfloat16, from the machines that are known; 0 where it is not, or numbers are others."""
    if not device.startswith("cuda") or dtype != torch.bfloat16:
        return 0.0
    name = torch.cuda.get_device_name(device).lower()
    table = known_machines()
    return next((row["flops"] for kind, row in table.items() if kind in name.split() or f" {kind}" in name), 0.0)
