"""Checkpoints for the merge benchmarks: a random Llama and fine-tunes of it, written once and used again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sampan.model.tensors import TensorFolder, TensorPlan, TensorWriter

STEP = 0.002
"""Standard deviation of a fine-tune's difference from the base: about a tenth of the weights'."""
_PIECE = 1 << 20


def llama_config(*, hidden: int, layers: int, ffn: int, vocab: int, heads: int, kv_heads: int) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "dtype": "bfloat16",
        "torch_dtype": "bfloat16",
    }


def llama_shapes(config: Mapping) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a Llama's tensors, sorted by name."""
    hidden, ffn, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    narrow = hidden * config["num_key_value_heads"] // config["num_attention_heads"]
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocab, hidden),
        "lm_head.weight": (vocab, hidden),
        "model.norm.weight": (hidden,),
    }
    layer = {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (narrow, hidden),
        "self_attn.v_proj": (narrow, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (ffn, hidden),
        "mlp.up_proj": (ffn, hidden),
        "mlp.down_proj": (hidden, ffn),
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
    }
    for number in range(config["num_hidden_layers"]):
        shapes |= {f"model.layers.{number}.{name}.weight": shape for name, shape in layer.items()}
    return dict(sorted(shapes.items()))


def plan_of(shapes: Mapping[str, tuple[int, ...]]) -> list[TensorPlan]:
    return [TensorPlan(name, "BF16", shape) for name, shape in shapes.items()]


def write_side_files(folder: Path, config: Mapping) -> None:
    """config.json and a tokenizer with as many entries as the model has rows."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    words = {"<unk>": 0} | {f"w{number}": number for number in range(1, config["vocab_size"])}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "<unk>"}
    tokenizer = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"})
    )


def make_trio(folder: Path, config: Mapping) -> list[Path]:
    """`base`, `one` and `two` below `folder` (made unless they are whole already): bfloat16, the two being the base
    plus normal noise."""
    paths = [folder / name for name in ("base", "one", "two")]
    for number, path in enumerate(paths):
        if (path / "made").is_file():
            continue
        write_side_files(path, config)
        _write_model(path, llama_shapes(config), paths[0] if number else None, number)
        (path / "made").touch()
    return paths


def _write_model(path: Path, shapes: Mapping[str, tuple[int, ...]], base: Path | None, seed: int) -> None:
    rng = np.random.Generator(np.random.SFC64(seed))
    writer = TensorWriter(path, plan_of(shapes))
    source = TensorFolder(base) if base else None
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        for start in range(0, size, _PIECE):
            stop = min(start + _PIECE, size)
            noise = rng.standard_normal(stop - start, np.float32)
            if source:
                writer.write(name, source.read_flat(name, start, stop) + STEP * noise)
            else:
                writer.write(name, (1.0 if len(shape) == 1 else 0.0) + 0.02 * noise)
    writer.close()
    if source:
        source.close()
