"""What a training run will cost, from its tokens and the model's size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

from .machines import VOCABULARY, WEIGHT_BYTES, shape
from .settings import Optimisation

_RATE = 8e10
"""FLOPs per second: what one CPU core was measured to do on a small model in float32."""
_BYTES_PER_TOKEN_OF_TEXT = 4
_GRADIENT_BYTES = 4
_MOMENT_BYTES = {"float32": 8, "bfloat16": 4, "int8": 2}
"""Both moments of a trained parameter."""
_AVERAGE_BYTES = 4
_ADAPTED = {
    "self_attn.q_proj": 2.0,
    "self_attn.k_proj": 1.25,
    "self_attn.v_proj": 1.25,
    "self_attn.o_proj": 2.0,
    "mlp.gate_proj": 4.5,
    "mlp.up_proj": 4.5,
    "mlp.down_proj": 4.5,
}
"""Linear layers of a block and the sum of their sides in widths: a quarter of the heads for keys and values, and a
feed-forward part of 3.5 widths, as in Llama 3."""
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


def forecast(tokens: float, parameters: float, params: Optimisation, *, step_tokens: float = 0) -> dict[str, float]:
    """6 FLOPs per parameter and token, plus attention over half the context; see `machines` for machines other than a
    core. `step_tokens` > 0 are the tokens of a step.

    With adapters, gradients of the weights beside them (2 of the 6 FLOPs) are not computed, and the adapters alone have
    gradient and moments.
    """
    width, layers = shape(parameters)
    trained = adapter_size(parameters, params) if params.lora_rank else parameters
    dense = 4 * parameters + 6 * trained if params.lora_rank else 6 * parameters
    flops = tokens * (dense + 12 * layers * width * params.context_len / 2)
    trained_bytes = _GRADIENT_BYTES + _MOMENT_BYTES[params.moments]
    trained_bytes += _AVERAGE_BYTES * bool(params.ema_decay or params.average_last)
    steps = {"step_tokens": step_tokens, "steps": math.ceil(tokens / step_tokens)} if step_tokens else {}
    return {
        "tokens": tokens,
        "parameters": parameters,
        "flops": flops,
        "memory_bytes": WEIGHT_BYTES * parameters
        + trained_bytes * trained
        + 34 * 4 * layers * width * params.micro_batch_tokens,
        "trained_parameters": trained,
        "trained_bytes": trained_bytes,
        "disk_bytes": 4 * parameters,
        "seconds": 5 + flops / _RATE,
        "context_len": params.context_len,
        "micro_batch_tokens": params.micro_batch_tokens,
        **steps,
    }


def adapter_size(parameters: float, params: Optimisation) -> float:
    """Parameters of the adapters (and of the embeddings, if rows of them are trained) beside a model of a guessed
    shape: rank × (inputs + outputs) of each linear layer that lora_targets name."""
    width, layers = shape(parameters)
    names = [name for name in _ADAPTED if any(fnmatch(f"model.layers.0.{name}", one) for one in params.lora_targets)]
    sides = sum(_ADAPTED[name] for name in names or _ADAPTED)
    rows = 2 * VOCABULARY * width if params.new_rows_from else 0
    return params.lora_rank * layers * width * sides + rows
