"""AdamW with groups: decay only for matrices, a rate of their own for embeddings, the rest frozen on request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from typing import Any

import torch

from ..core.errors import StageError
from .distributed import World
from .moments import open_adamw
from .settings import Optimisation
from .tensor_parallel import gradient_norm


def freeze(model: Any, patterns: Sequence[str]) -> list[str]:
    """Let only parameters whose names match a pattern be trained; returns their names. No patterns means all."""
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise StageError(
                f"train_only: no parameter matches '{pattern}'",
                how=f"Names look like {', '.join(names[:2])}, {names[-1]}; * stands for anything.",
            )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not patterns or any(fnmatch(name, pattern) for pattern in patterns))
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def embeddings(model: Any) -> list[torch.nn.Parameter]:
    """Input and output embeddings, one of them if they are tied."""
    found = [module.weight for module in (model.get_input_embeddings(), model.get_output_embeddings()) if module]
    return list({id(weight): weight for weight in found}.values())


def make_optimiser(model: Any, params: Optimisation) -> torch.optim.Optimizer:
    """AdamW over the trainable parameters; each group carries `scale`, its factor on the learning rate.

    Norms, biases and embeddings are not decayed. StageError if a pattern of lr_scales matches nothing.
    """
    rows = {id(weight) for weight in embeddings(model)}
    scale_of = _scales(model, params)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = 0.0 if id(parameter) in rows or parameter.dim() < 2 else params.weight_decay
        scale = scale_of(name, parameter)
        if decay and scale and params.decay == "composer":
            decay /= params.lr * scale
        groups.setdefault((decay, scale), []).append(parameter)
    return open_adamw(
        [{"params": members, "weight_decay": decay, "scale": scale} for (decay, scale), members in groups.items()],
        params,
    )


def _scales(model: Any, params: Optimisation) -> Callable[[str, torch.nn.Parameter], float]:
    """The factor on the learning rate of a parameter, by its name and itself."""
    inner, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    if params.head_lr_scale is not None and head is inner:
        raise StageError(
            "head_lr_scale is given, and this model's head is its embeddings",
            where="head_lr_scale",
            how="Tied weights have one learning rate: set embedding_lr_scale.",
        )
    names = [name for name, _ in model.named_parameters()]
    for pattern in params.lr_scales:
        if not any(fnmatch(name, pattern) for name in names):
            raise StageError(f"no parameter matches '{pattern}'", where="lr_scales", how=f"Names: {names[-1]} …")

    def scale(name: str, parameter: torch.nn.Parameter) -> float:
        for pattern, factor in params.lr_scales.items():
            if fnmatch(name, pattern):
                return factor
        if parameter is head and params.head_lr_scale is not None:
            return params.head_lr_scale
        return params.embedding_lr_scale if parameter is inner or parameter is head else 1.0

    return scale


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set every group's learning rate to `rate` times its scale."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


def clip(parameters: Sequence[torch.nn.Parameter], max_norm: float, tensor: World) -> float:
    """Scale gradients down to `max_norm` (0 = never) and return their norm before that."""
    norm = gradient_norm(parameters, tensor)
    known = float(norm)
    if max_norm > 0 and not known < 0.999 * max_norm:  # below it, every gradient would be multiplied by 1
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    return known
