"""A Hugging Face config and its tensors in GGUF's terms: names, row order, types and metadata by architecture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, StageError
from .gguf_gemma import GEMMA, gemma_keys

if TYPE_CHECKING:
    import numpy as np
    import torch

    from .weights import Weights

PERMUTED = ("llama",)
"""GGUF architectures whose query and key rows are in Meta's interleaved order."""
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", **GEMMA}
"""transformers model types to GGUF architectures: those whose graph llama.cpp has and this room has checked."""


@dataclass(frozen=True)
class Shape:
    """What of a config the tensors' layout needs."""

    arch: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    tied: bool


def full_config(folder: Path) -> dict[str, Any]:
    """The config with the defaults that config.json leaves out; InputError if transformers cannot read it."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"the config does not load ({str(error)[:300]})", where=str(folder)) from error
    return config.to_dict()


def shape_of(config: Mapping[str, Any], where: Path) -> Shape:
    """StageError if the architecture is not one of ARCHITECTURES."""
    kind = config.get("model_type", "")
    if kind not in ARCHITECTURES:
        raise StageError(
            f"GGUF export does not know the architecture '{kind}'",
            where=str(where),
            how=f"Known: {', '.join(ARCHITECTURES)}. Use export.hf with vLLM or `sampan serve` for others.",
        )
    heads = config["num_attention_heads"]
    return Shape(
        arch=ARCHITECTURES[kind],
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or config["hidden_size"] // heads,
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def metadata(config: Mapping[str, Any], where: Path) -> dict[str, int | float | str]:
    """Hyperparameters under GGUF's keys (without tokenizer and general keys)."""
    shape = shape_of(config, where)
    context = config["max_position_embeddings"]
    if config.get("sliding_window") and config.get("use_sliding_window", config["model_type"] == "mistral"):
        # llama.cpp attends to everything in these architectures: beyond the window is beyond what was trained.
        context = min(context, config["sliding_window"])
    keys: dict[str, int | float | str] = {
        "context_length": context,
        "embedding_length": config["hidden_size"],
        "block_count": shape.layers,
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.head_dim,
        "attention.value_length": shape.head_dim,
        "attention.layer_norm_rms_epsilon": float(config.get("rms_norm_eps", 1e-6)),
        "rope.dimension_count": shape.head_dim,
        "rope.freq_base": float(_rope(config).get("rope_theta", 10000.0)),
        "vocab_size": config["vocab_size"],
    }
    if shape.arch in GEMMA.values():
        keys |= gemma_keys(config, shape.arch, shape.head_dim, where)
    rope = _rope(config)
    if rope["rope_type"] == "linear":
        keys |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(rope["factor"])}
    elif rope["rope_type"] not in ("default", "llama3"):
        raise StageError(
            f"GGUF export does not know the rotary scaling '{rope['rope_type']}'",
            where=str(where),
            how="Known: default, linear, llama3.",
        )
    return {f"{shape.arch}.{key}": value for key, value in keys.items()}


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary settings of old (rope_theta, rope_scaling) and new (rope_parameters) configs; of blocks without windows
    where those with windows have others."""
    rope = {"rope_theta": config.get("rope_theta", 10000.0)}
    rope |= config.get("rope_scaling") or {}
    given = config.get("rope_parameters") or {}
    rope |= given.get("full_attention", given)
    return {**rope, "rope_type": rope.get("rope_type") or rope.get("type") or "default"}


def plan_tensors(weights: Weights, config: Mapping[str, Any]) -> dict[str, str]:
    """Hugging Face name to GGUF name, in the file's order; StageError on a tensor GGUF has no name for.

    Tied output embeddings are left out: llama.cpp reads the input embedding twice.
    """
    import gguf

    shape = shape_of(config, weights.folder)
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == shape.arch)
    names = gguf.get_tensor_name_map(arch, shape.layers)
    plan = {}
    for name in weights.names:
        if name.endswith(".rotary_emb.inv_freq") or (shape.tied and name == "lm_head.weight"):
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise StageError(f"GGUF has no name for tensor {name} in {shape.arch}", where=str(weights.folder))
        plan[name] = target
    return plan


def rope_factors(config: Mapping[str, Any], where: Path) -> np.ndarray | None:
    """Llama 3.1's frequency divisors, float32 of length head_dim / 2, or None for plain rotary positions.

    Long wavelengths are slowed by `factor`, short ones kept, and those between are interpolated (as in transformers'
    `_compute_llama3_parameters`); GGUF stores the divisors as the tensor rope_freqs.
    """
    import numpy as np

    rope = _rope(config)
    if rope["rope_type"] != "llama3":
        return None
    half = shape_of(config, where).head_dim // 2
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    old_context = rope["original_max_position_embeddings"]
    out = []
    for i in range(half):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / half)
        if wavelength < old_context / high:
            out.append(1.0)
        elif wavelength > old_context / low:
            out.append(factor)
        else:
            smooth = (old_context / wavelength - low) / (high - low)
            out.append(1 / ((1 - smooth) / factor + smooth))
    return np.asarray(out, dtype=np.float32)


def interleave(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows (or a bias) of each head from halves (0,2,…),(1,3,…) back to rotary pairs (0,1),(2,3),…"""
    rows = tensor.shape[0]
    return tensor.reshape(heads, 2, rows // heads // 2, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


def arranged(tensor: torch.Tensor, target: str, shape: Shape) -> torch.Tensor:
    """A tensor in the row order that GGUF wants for the name `target`, and norms as what they multiply by."""
    if shape.arch in GEMMA.values() and target.endswith("norm.weight"):
        return tensor + 1
    if shape.arch in PERMUTED and ".attn_q." in target:
        return interleave(tensor, shape.heads)
    if shape.arch in PERMUTED and ".attn_k." in target:
        return interleave(tensor, shape.kv_heads)
    return tensor


def gguf_tensors(
    weights: Weights, plan: Mapping[str, str], dtype: str, shape: Shape
) -> Iterator[tuple[str, torch.Tensor]]:
    """(GGUF name, tensor) one at a time. Vectors (norms, biases) are float32 as llama.cpp requires."""
    from .weights import converted

    for _, name, tensor in weights.tensors():
        if name in plan:
            kind = "float32" if tensor.ndim == 1 else dtype
            yield plan[name], arranged(converted(tensor, kind, name), plan[name], shape).contiguous()
