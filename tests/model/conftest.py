"""A tiny Llama with a byte-fallback tokenizer, written as a Hugging Face folder once a session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SPECIALS = ("<unk>", "<s>", "</s>", "<|im_start|>")


def write_tokenizer(folder: Path) -> None:
    """Bytes, ASCII letters and a few words, so that any text can be encoded."""
    from sampan.model.chat import write_template
    from sampan.model.sentencepiece_bpe import build_tokenizer

    letters = [chr(c) for c in range(33, 127)]
    pieces = [(name, 0.0) for name in SPECIALS] + [(f"<0x{b:02X}>", 0.0) for b in range(256)]
    pieces += [(piece, -float(n)) for n, piece in enumerate(["▁a", "▁t", "▁th", "▁the", "er", "in", "▁"])]
    pieces += [(letter, -100.0 - n) for n, letter in enumerate(letters)]
    normal = [n >= len(SPECIALS) + 256 for n in range(len(pieces))]
    tokenizer = build_tokenizer(pieces, unk="<unk>", specials=SPECIALS, mergeable=normal)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
        "bos_token": "<s>",
        "eos_token": "</s>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    write_template(folder, "seallm-v2")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A random two-layer Llama of width 32 made by the stage model.init."""
    from sampan.core.stage import Artifact, Inputs, Runtime
    from sampan.model.init import STAGE

    base = tmp_path_factory.mktemp("tiny")
    for name in ("tokenizer", "model", "state"):
        (base / name).mkdir()
    write_tokenizer(base / "tokenizer")
    params = STAGE.params(hidden_size=32, num_layers=2, num_heads=4, num_kv_heads=2, context_len=64, init_std=0.3)
    source = Artifact(path=base / "tokenizer", kind="tokenizer", digest="", name="tokenizer")
    STAGE.run(params, Inputs({"tokenizer": [source]}), Runtime(out=base / "model", state=base / "state"))
    return base / "model"


@pytest.fixture(scope="session")
def loaded(tiny):
    from sampan.model.checkpoint import load_model
    from sampan.model.tokenizer import load_tokenizer

    return load_model(tiny), load_tokenizer(tiny)
