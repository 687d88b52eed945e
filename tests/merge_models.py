"""Small model folders to merge, and the stage merge.weights run on them."""

import json

import numpy as np

from sampan.core.params import parse_params
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.merge.weights import STAGE, Params
from sampan.model.tensors import TensorPlan, TensorWriter, bf16_bits, decode

CONFIG = {"model_type": "llama", "num_attention_heads": 2, "tie_word_embeddings": False, "dtype": "bfloat16"}
EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
SHAPES = {EMBED: (12, 6), HEAD: (12, 6), "model.norm.weight": (6,), "model.layers.0.mlp.up_proj.weight": (9, 6)}


def tokenizer(words, **more):
    model = {"type": "BPE", "vocab": {word: i for i, word in enumerate(words)}, "merges": ["a b"]}
    return {"model": model, "added_tokens": [], **more}


def make(folder, *, seed=0, shapes=SHAPES, config=CONFIG, words="abcdefghijkl", values=None, dtype="BF16"):
    """A model folder of random bfloat16-exact tensors; returns (artifact, {name: float32 array})."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    tensors = {n: decode(bf16_bits(rng.standard_normal(s, np.float32)), "BF16") for n, s in sorted(shapes.items())}
    tensors |= values or {}
    writer = TensorWriter(folder, [TensorPlan(n, dtype, t.shape) for n, t in tensors.items()])
    for name, tensor in tensors.items():
        writer.write(name, tensor)
    writer.close()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(words)))
    (folder / "chat_template.jinja").write_text(folder.name)
    (folder / "generation_config.json").write_text("{}")
    return Artifact(path=folder, kind="checkpoint", digest=folder.name, name=folder.name), tensors


def merge(tmp_path, base, models, *, name="out", logs=None, threads=1, **given):
    given = {"method": "task_arithmetic", "normalize": False} | given
    out, state = tmp_path / name, tmp_path / f"{name}-state"
    out.mkdir()
    state.mkdir(exist_ok=True)
    log = (logs if logs is not None else []).append
    runtime = Runtime(out=out, state=state, threads=threads, checkpoint_seconds=0, on_log=log)
    by_role = {"models": models} | ({"base": [base]} if base else {})
    params = parse_params(Params, given, where="test")
    return out, STAGE.run(params, Inputs(by_role), runtime)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
