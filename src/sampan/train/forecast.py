"""What a training run will cost, from its tokens and the model's size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .machines import shape

_RATE = 8e10
"""FLOPs per second: what one CPU core was measured to do on a small model in float32."""
_BYTES_PER_TOKEN_OF_TEXT = 4
_BYTES_PER_PARAMETER = 16
"""float32 weight, gradient and two moments."""
DEFAULT_PARAMETERS = 1e9

Facts = Mapping[str, Sequence[Mapping[str, float]]]


def model_size(facts: Facts) -> float:
    """Parameters of the `model` input, a billion while unknown."""
    return (facts.get("model") or [{}])[0].get("parameters", DEFAULT_PARAMETERS)


def token_count(facts: Facts, role: str, *, per_document: float) -> float:
    """Tokens of a role's inputs: as stated, else from bytes of text, else from documents."""
    total = 0.0
    for fact in facts.get(role) or []:
        rough = fact.get("text_bytes", 0) / _BYTES_PER_TOKEN_OF_TEXT or fact.get("documents", 0) * per_document
        total += fact.get("tokens") or rough
    return total


def forecast(
    tokens: float, parameters: float, *, context_len: int, micro_batch_tokens: int, step_tokens: float = 0
) -> dict[str, float]:
    """6 FLOPs per parameter and token, plus attention over half the context; see `machines` for machines other than a
    core. `step_tokens` > 0 are the tokens of a step."""
    width, layers = shape(parameters)
    flops = tokens * (6 * parameters + 12 * layers * width * context_len / 2)
    steps = {"step_tokens": step_tokens, "steps": math.ceil(tokens / step_tokens)} if step_tokens else {}
    return {
        "tokens": tokens,
        "parameters": parameters,
        "flops": flops,
        "memory_bytes": _BYTES_PER_PARAMETER * parameters + 34 * 4 * layers * width * micro_batch_tokens,
        "disk_bytes": 4 * parameters,
        "seconds": 5 + flops / _RATE,
        "context_len": context_len,
        "micro_batch_tokens": micro_batch_tokens,
        **steps,
    }
