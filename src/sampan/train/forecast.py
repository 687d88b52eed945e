"""What a training run will cost, from its tokens and the model's size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

from .machines import WEIGHT_BYTES
from .settings import Optimisation
from .shapes import Shape, shape_of

_RATE = 8e10
"""FLOPs per second: what one CPU core was measured to do on a small model in float32."""
_BYTES_PER_TOKEN_OF_TEXT = 4
_LOW_BYTES = 2
"""The lower half of a weight in bfloat16, where the optimiser keeps it."""
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


def forecast(tokens: float, model: Shape, params: Optimisation, *, step_tokens: float = 0) -> dict[str, float]:
    """What `tokens` cost on one core; see `machines` for others. `step_tokens` > 0 are the tokens of a step.

    With adapters, gradients of the weights beside them (2 of the 6 FLOPs) are not computed, and the adapters alone have
    gradient and moments.
    """
    parameters, trained = model.parameters, model.parameters
    token_flops = model.token_flops(params.context_len)
    if params.lora_rank:
        trained = adapter_size(model, params)
        token_flops += 6 * trained - 2 * (parameters - model.looked_up)
    flops = tokens * token_flops
    activations = 34 * 4 * model.layers * model.width * params.micro_batch_tokens
    weight_bytes = WEIGHT_BYTES[params.weights_dtype]  # a gradient's too
    trained_bytes = weight_bytes + _MOMENT_BYTES[params.moments]
    if params.weights_dtype == "bfloat16" and params.weights_rounding == "kept":
        trained_bytes += _LOW_BYTES
    trained_bytes += _AVERAGE_BYTES * bool(params.ema_decay or params.average_last)
    steps = {"step_tokens": step_tokens, "steps": math.ceil(tokens / step_tokens)} if step_tokens else {}
    return {
        "tokens": tokens,
        "parameters": parameters,
        "flops": flops,
        "memory_bytes": weight_bytes * parameters + trained_bytes * trained + activations,
        "trained_parameters": trained,
        "trained_bytes": trained_bytes,
        "weight_bytes": weight_bytes,
        "loaded_whole": int(params.lora_rank > 0),
        "disk_bytes": 4 * parameters,
        "seconds": 5 + flops / _RATE,
        "divisible": int(not params.undivided),
        "shareable": 1,
        "context_len": params.context_len,
        "micro_batch_tokens": params.micro_batch_tokens,
        **steps,
    }


def adapter_size(model: Shape, params: Optimisation) -> float:
    """Parameters of the adapters (and of the embeddings, if rows of them are trained) beside a model: rank × (inputs +
    outputs) of each linear layer that lora_targets name, whose sides are guessed from the width."""
    names = [name for name in _ADAPTED if any(fnmatch(f"model.layers.0.{name}", one) for one in params.lora_targets)]
    sides = sum(_ADAPTED[name] for name in names or _ADAPTED)
    rows = 2 * model.vocabulary * model.width if params.new_rows_from else 0
    return params.lora_rank * model.layers * model.width * sides + rows
