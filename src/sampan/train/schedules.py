"""Learning-rate schedules as pure functions of the step: a multiplier of the peak rate, warm-up included."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.errors import RecipeError, did_you_mean


@dataclass(frozen=True, slots=True)
class Shape:
    """How long a run is: total, warm-up and decay steps, and the share of the peak rate at the end (alpha_f)."""

    total: int
    warmup: int
    decay: int
    final: float


def wsd(step: float, shape: Shape) -> float:
    """Warm-up, stable, linear decay to `final` (AI Singapore's scheduler with its "+ alpha_f")."""
    if step < shape.warmup:
        return step / shape.warmup
    if step < shape.total - shape.decay or shape.decay == 0:
        return 1.0
    return shape.final + (1 - shape.final) * max(0.0, shape.total - step) / shape.decay


def cosine(step: float, shape: Shape) -> float:
    """Warm-up, then half a cosine down to `final` at the last step."""
    if step < shape.warmup:
        return step / shape.warmup
    return shape.final + (1 - shape.final) * 0.5 * (1 + math.cos(math.pi * _progress(step, shape)))


def linear(step: float, shape: Shape) -> float:
    """Warm-up, then a straight line down to `final` at the last step."""
    if step < shape.warmup:
        return step / shape.warmup
    return 1 - (1 - shape.final) * _progress(step, shape)


def constant(step: float, shape: Shape) -> float:
    """Warm-up, then the peak rate to the end."""
    return step / shape.warmup if step < shape.warmup else 1.0


def _progress(step: float, shape: Shape) -> float:
    return min(1.0, (step - shape.warmup) / max(1, shape.total - shape.warmup))


SCHEDULES: dict[str, Callable[[float, Shape], float]] = {
    "wsd": wsd,
    "cosine": cosine,
    "linear": linear,
    "constant": constant,
}


def count_steps(tokens: int, size: int, tail: str) -> int:
    """Steps of `size` tokens, the last one smaller unless the `tail` is dropped; RecipeError if there is none."""
    steps = tokens // size if tail == "drop" else math.ceil(tokens / size)
    if steps < 1:
        raise RecipeError(
            f"{tokens} tokens do not fill one step of {size}", where="tail", how="Lower global_batch_tokens."
        )
    return steps


def schedule_of(params: Any, total: int) -> Callable[[int], float]:
    """The schedule that training `params` (see settings) ask for, over `total` steps."""
    return make_schedule(
        params.schedule,
        total,
        warmup_steps=params.warmup_steps,
        warmup_share=params.warmup_share,
        decay_share=params.decay_share,
        final=params.final_lr_ratio,
    )


def make_schedule(
    name: str, total: int, *, warmup_steps: int, warmup_share: float, decay_share: float, final: float
) -> Callable[[int], float]:
    """The multiplier as a function of the step, 0 ≤ step < total. `warmup_steps` > 0 wins over `warmup_share`.

    The step is counted from 0 and a warm-up starts at rate 0, as the published golden values do. RecipeError if the
    name is unknown or warm-up and decay do not fit into the run; where two shares of it fit and both round up, the
    decay is the shorter one.
    """
    if name not in SCHEDULES:
        raise RecipeError(f"there is no schedule '{name}'", how=did_you_mean(name, SCHEDULES))
    warmup = warmup_steps or round(warmup_share * total)
    decay = round(decay_share * total) if name == "wsd" else 0
    if not warmup_steps and warmup_share + decay_share <= 1:
        decay = min(decay, total - warmup)
    if warmup + decay > total:
        raise RecipeError(
            f"warm-up ({warmup} steps) and decay ({decay} steps) are longer than the run ({total} steps)",
            how="Lower warmup_steps, warmup_share or decay_share, or train longer.",
        )
    shape = Shape(total, warmup, decay, final)
    return lambda step: SCHEDULES[name](step, shape)
