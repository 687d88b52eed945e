"""What GGUF files of Gemma hold besides: soft caps, windows, and norms with the one that their weights are added to.

llama.cpp's graphs of Gemma have the rest built in, so a config that differs from them is refused: tied embeddings,
GELU, which blocks have windows, and what queries are scaled by.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import StageError

GEMMA = {"gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3"}
"""transformers model types to GGUF architectures."""
_EVERY = {"gemma2": 2, "gemma3": 6}
"""Every so many blocks, one attends to everything, the last of them."""
_WIDE = {"gemma2": 46, "gemma3": 62}
"""Blocks of the 27B models, whose queries are scaled by width / heads."""
_LOCAL_BASE = 10000.0
"""Rotary base of Gemma 3's blocks with windows."""


def gemma_keys(config: Mapping[str, Any], arch: str, head_dim: int, where: Path) -> dict[str, int | float]:
    """Further hyperparameters of an architecture in GEMMA's values; StageError where llama.cpp would compute something
    else than the config says."""

    def expect(name: str, found: Any, built_in: Any) -> None:
        if found != built_in:
            raise StageError(
                f"llama.cpp's {arch} has {name} {built_in}, this model {found}",
                where=str(where),
                how="Serve the `export.hf` folder with vLLM or `sampan serve`.",
            )

    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    expect("tied embeddings:", bool(config.get("tie_word_embeddings", True)), True)
    expect("activation", config.get("hidden_activation") or config.get("hidden_act"), "gelu_pytorch_tanh")
    if arch == "gemma":
        return {}
    kinds = ["full_attention" if (n + 1) % _EVERY[arch] == 0 else "sliding_attention" for n in range(layers)]
    expect("blocks with windows", list(config["layer_types"]), kinds)
    scale = config["hidden_size"] // heads if layers == _WIDE[arch] else head_dim
    expect("query_pre_attn_scalar", config["query_pre_attn_scalar"], scale)
    keys: dict[str, int | float] = {"attention.sliding_window": config["sliding_window"]}
    caps = {name: config.get(name) for name in ("attn_logit_softcapping", "final_logit_softcapping")}
    if arch == "gemma2":
        expect("soft caps", all(caps.values()), True)
        return keys | {name: float(cap) for name, cap in caps.items()}
    expect("soft caps", [cap for cap in caps.values() if cap], [])
    expect("bidirectional attention:", bool(config.get("use_bidirectional_attention")), False)
    local = (config.get("rope_parameters") or {}).get("sliding_attention") or {}
    base = local.get("rope_theta", config.get("rope_local_base_freq", _LOCAL_BASE))
    expect("a rotary base in windows of", float(base), _LOCAL_BASE)
    expect("rotary scaling in windows:", local.get("rope_type", "default"), "default")
    return keys
