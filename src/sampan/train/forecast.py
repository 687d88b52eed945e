"""What a training run will cost, from its tokens and the model's size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .shapes import Shape, shape_of

_RATE = 8e10
"""FLOPs per second: what one CPU core was measured to do on a small model in float32."""
_BYTES_PER_TOKEN_OF_TEXT = 4
_BYTES_PER_PARAMETER = 16
"""float32 weight, gradient and two moments."""
DEFAULT_PARAMETERS = 1e9

Facts = Mapping[str, Sequence[Mapping[str, float]]]


def model_shape(facts: Facts, role: str = "model") -> Shape:
    """The model of a role, one of a billion parameters while unknown."""
    return shape_of((facts.get(role) or [{}])[0], default=DEFAULT_PARAMETERS)


def token_count(facts: Facts, role: str, *, per_document: float) -> float:
    """Tokens of a role's inputs: as stated, else from bytes of text, else from documents."""
    total = 0.0
    for fact in facts.get(role) or []:
        rough = fact.get("text_bytes", 0) / _BYTES_PER_TOKEN_OF_TEXT or fact.get("documents", 0) * per_document
        total += fact.get("tokens") or rough
    return total


def forecast(
    tokens: float, model: Shape, *, context_len: int, micro_batch_tokens: int, step_tokens: float = 0
) -> dict[str, float]:
    """What `tokens` cost on one core; see `machines` for others. `step_tokens` > 0 are the tokens of a step."""
    flops, parameters = tokens * model.token_flops(context_len), model.parameters
    activations = 34 * 4 * model.layers * model.width * micro_batch_tokens
    steps = {"step_tokens": step_tokens, "steps": math.ceil(tokens / step_tokens)} if step_tokens else {}
    return {
        "tokens": tokens,
        "parameters": parameters,
        "flops": flops,
        "memory_bytes": _BYTES_PER_PARAMETER * parameters + activations,
        "disk_bytes": 4 * parameters,
        "seconds": 5 + flops / _RATE,
        "context_len": context_len,
        "micro_batch_tokens": micro_batch_tokens,
        **steps,
    }
