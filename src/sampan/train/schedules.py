"""Learning-rate schedules as pure functions of the step: a multiplier of the peak rate, warm-up included."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

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


def make_schedule(
    name: str, total: int, *, warmup_steps: int, warmup_share: float, decay_share: float, final: float
) -> Callable[[int], float]:
    """The multiplier as a function of the step, 0 ≤ step < total. `warmup_steps` > 0 wins over `warmup_share`.

    The step is counted from 0 and a warm-up starts at rate 0, as the published golden values do. RecipeError if the
    name is unknown or warm-up and decay do not fit into the run.
    """
    if name not in SCHEDULES:
        raise RecipeError(f"there is no schedule '{name}'", how=did_you_mean(name, SCHEDULES))
    warmup = warmup_steps or round(warmup_share * total)
    decay = round(decay_share * total) if name == "wsd" else 0
    if warmup + decay > total:
        raise RecipeError(
            f"warm-up ({warmup} steps) and decay ({decay} steps) are longer than the run ({total} steps)",
            how="Lower warmup_steps, warmup_share or decay_share, or train longer.",
        )
    shape = Shape(total, warmup, decay, final)
    return lambda step: SCHEDULES[name](step, shape)
