"""`model.init`: a causal language model from scratch, for a given tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..core.errors import RecipeError
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    architecture: Literal["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"] = "llama"
    """The transformers model type."""
    hidden_size: int = 256
    """Width D."""
    num_layers: int = 6
    """Blocks."""
    num_heads: int = 4
    """Attention heads; must divide hidden_size."""
    num_kv_heads: int = 0
    """Key-value heads (grouped-query attention); 0 = num_heads."""
    intermediate_size: int = 0
    """Width of the feed-forward part; 0 = 8/3 of hidden_size rounded up to a multiple of 32, Llama's rule."""
    context_len: int = 1024
    """Longest sequence in tokens (max_position_embeddings)."""
    tie_embeddings: bool = True
    """Whether input and output embeddings are one matrix."""
    rope_theta: float = 10000.0
    """Base of the rotary position frequencies."""
    init_std: float = 0.02
    """Standard deviation of the normal initialisation."""
    seed: int = 0
    """Seed of the initial weights."""

    def __post_init__(self) -> None:
        if min(self.hidden_size, self.num_layers, self.num_heads, self.context_len) < 1:
            raise ValueError("hidden_size, num_layers, num_heads and context_len must be at least 1")
        if self.hidden_size % self.num_heads:
            raise ValueError(f"num_heads ({self.num_heads}) must divide hidden_size ({self.hidden_size})")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from .checkpoint import save_model
    from .tokenizer import load_tokenizer

    folder = inputs.one("tokenizer").path
    tokenizer = load_tokenizer(folder)
    wide = params.intermediate_size or -(-params.hidden_size * 8 // 3 // 32) * 32
    width = params.hidden_size // params.num_heads
    # What queries are divided by the root of: the width of a head, as in the published Gemma 2 2B and 9B.
    scale = {"query_pre_attn_scalar": width} if params.architecture == "gemma2" else {}
    config = AutoConfig.for_model(
        params.architecture,
        vocab_size=len(tokenizer),
        hidden_size=params.hidden_size,
        num_hidden_layers=params.num_layers,
        num_attention_heads=params.num_heads,
        num_key_value_heads=params.num_kv_heads or params.num_heads,
        head_dim=width,
        intermediate_size=wide,
        max_position_embeddings=params.context_len,
        tie_word_embeddings=params.tie_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": params.rope_theta},
        initializer_range=params.init_std,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **scale,
    )
    torch.manual_seed(params.seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return save_model(model, runtime.out, tokenizer_from=folder)


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """Parameters from the shape, and the shape; the vocabulary's size from the tokenizer's facts, 32 000 while
    unknown."""
    vocab = (facts.get("tokenizer") or [{}])[0].get("vocab_size", 32_000)
    wide = params.intermediate_size or -(-params.hidden_size * 8 // 3 // 32) * 32
    kv = (params.num_kv_heads or params.num_heads) / params.num_heads
    block = params.hidden_size**2 * (2 + 2 * kv) + 3 * params.hidden_size * wide + 2 * params.hidden_size
    count = params.num_layers * block + vocab * params.hidden_size * (1 if params.tie_embeddings else 2)
    if count <= 0:
        raise RecipeError("a model needs at least one parameter")
    shape = {
        "vocab_size": vocab,
        "hidden_size": params.hidden_size,
        "num_layers": params.num_layers,
        "attention_size": params.hidden_size,
        "kv_heads": params.num_kv_heads or params.num_heads,
        "tied": int(params.tie_embeddings),
        "window": params.context_len,
    }
    cost = {"disk_bytes": 4 * count, "memory_bytes": 8 * count, "seconds": 10 + count / 5e7}
    return {"parameters": count, **shape, **cost}


STAGE = Stage(
    name="model.init",
    revision=2,
    summary="A causal language model from scratch, for a given tokenizer.",
    params=Params,
    inputs={"tokenizer": Role(kinds=("tokenizer", "checkpoint"), help="the tokenizer whose vocabulary it speaks")},
    output="checkpoint",
    run=run,
    estimate=estimate,
    heavy=True,
    paper="Llama (arXiv:2302.13971) and kin, as transformers builds them; small ones stand in for an open base model.",
)
