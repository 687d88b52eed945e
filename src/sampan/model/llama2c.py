"""llama2.c's flat checkpoint format, turned into a Hugging Face folder that computes the same."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from .sentencepiece_bpe import SPACE, build_tokenizer

_HEADER = struct.Struct("<7i")
UNK, BOS, EOS = "<unk>", "<s>", "</s>"


def convert(weights: Path, vocab: Path, out: Path) -> dict[str, Any]:
    """Write config, safetensors and tokenizer of a v0 float32 checkpoint into `out`; returns facts.

    Layout: seven int32 (dim, hidden, layers, heads, kv_heads, vocab, context; a negative vocab means an untied head),
    then the arrays one after another. Rotary pairs are interleaved there and split in halves in transformers, so
    the query and key rows are permuted. InputError if the file is not as long as its header says.
    """
    import torch
    from safetensors.numpy import save_file

    raw = weights.read_bytes()
    if len(raw) < _HEADER.size:
        raise InputError("too short for a llama2.c header", where=str(weights))
    dim, hidden, layers, heads, kv_heads, vocab_size, context = _HEADER.unpack_from(raw)
    tied, vocab_size = vocab_size > 0, abs(vocab_size)
    if not (0 < heads <= dim and 0 < kv_heads <= heads and dim % heads == 0 and layers > 0):
        raise InputError("the header makes no sense: not a llama2.c v0 checkpoint", where=str(weights))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": dim,
        "intermediate_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab_size,
        "max_position_embeddings": context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": tied,
        "hidden_act": "silu",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "dtype": str(torch.float32).removeprefix("torch."),
    }
    tensors = _tensors(np.frombuffer(raw, "<f4", offset=_HEADER.size), config, weights)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    _write_tokenizer(vocab, vocab_size, out)
    return {"parameters": sum(t.size for t in tensors.values()), "tensors": len(tensors)}


def _tensors(flat: np.ndarray, config: dict[str, Any], where: Path) -> dict[str, np.ndarray]:
    D, F, L = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    H, K, V = config["num_attention_heads"], config["num_key_value_heads"], config["vocab_size"]
    kv = D * K // H
    shapes = [
        ("model.embed_tokens.weight", (V, D)),
        ("input_layernorm", (L, D)),
        ("self_attn.q_proj", (L, D, D)),
        ("self_attn.k_proj", (L, kv, D)),
        ("self_attn.v_proj", (L, kv, D)),
        ("self_attn.o_proj", (L, D, D)),
        ("post_attention_layernorm", (L, D)),
        ("mlp.gate_proj", (L, F, D)),
        ("mlp.down_proj", (L, D, F)),
        ("mlp.up_proj", (L, F, D)),
        ("model.norm.weight", (D,)),
        ("rotary tables", (config["max_position_embeddings"] * D // H,)),
    ]
    if not config["tie_word_embeddings"]:
        shapes.append(("lm_head.weight", (V, D)))
    if len(flat) != sum(int(np.prod(shape)) for _, shape in shapes):
        raise InputError("the file is not as long as its header says", where=str(where), how="Fetch it again.")
    tensors, at = {}, 0
    for name, shape in shapes:
        size = int(np.prod(shape))
        array = flat[at : at + size].reshape(shape)
        at += size
        if name.endswith(".weight"):
            tensors[name] = np.ascontiguousarray(array)
        elif name != "rotary tables":
            for layer, part in enumerate(array):
                if name in ("self_attn.q_proj", "self_attn.k_proj"):
                    part = _halves(part, D // H)
                tensors[f"model.layers.{layer}.{name}.weight"] = np.ascontiguousarray(part)
    return tensors


def _halves(weight: np.ndarray, head_dim: int) -> np.ndarray:
    """Rows of each head from interleaved pairs (0,1),(2,3),… to halves (0,2,…),(1,3,…)."""
    rows, width = weight.shape
    return weight.reshape(rows // head_dim, head_dim // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


def _write_tokenizer(path: Path, vocab_size: int, out: Path) -> None:
    """The tokenizer file: int32 longest piece, then per piece float32 score, int32 length, bytes."""
    raw, at, pieces = path.read_bytes(), 4, []
    while len(pieces) < vocab_size:
        if at + 8 > len(raw):
            raise InputError(f"ends after {len(pieces)} of {vocab_size} pieces", where=str(path))
        score, length = struct.unpack_from("<fi", raw, at)
        pieces.append((raw[at + 8 : at + 8 + length].decode("utf-8").replace(" ", SPACE), score))
        at += 8 + length
    for number, name in enumerate((UNK, BOS, EOS)):
        pieces[number] = (name, 0.0)
    normal = [number > 2 and not piece.startswith("<0x") for number, (piece, _) in enumerate(pieces)]
    tokenizer = build_tokenizer(pieces, unk=UNK, specials=(UNK, BOS, EOS), mergeable=normal)
    tokenizer.save(str(out / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": UNK, "bos_token": BOS, "eos_token": EOS}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
