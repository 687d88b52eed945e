"""A tiny model with a tokenizer, tiny shards, and stages run in temporary folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SPECIALS = ("<unk>", "<s>", "</s>", "<|im_start|>")


def write_tokenizer(folder: Path, *, words: tuple[str, ...] = ("▁", "▁a", "▁t", "▁th", "▁the", "in")) -> int:
    """Bytes, printable ASCII and a few words; returns the vocabulary's size."""
    from sampan.model.chat import write_template
    from sampan.model.sentencepiece_bpe import build_tokenizer

    pieces = [(name, 0.0) for name in SPECIALS] + [(f"<0x{b:02X}>", 0.0) for b in range(256)]
    pieces += [(word, -float(n)) for n, word in enumerate(words)]
    pieces += [(chr(c), -100.0 - c) for c in range(33, 127)]
    normal = [n >= len(SPECIALS) + 256 for n in range(len(pieces))]
    tokenizer = build_tokenizer(pieces, unk="<unk>", specials=SPECIALS, mergeable=normal)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    write_template(folder, "seallm-v2")
    return len(pieces)


def as_artifact(path: Path, kind: str, name: str = ""):
    from sampan.core.stage import Artifact

    return Artifact(path=path, kind=kind, digest="", name=name or path.name)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A random two-layer Llama of width 32 with grouped-query attention and a window of 64."""
    from sampan.core.stage import Inputs, Runtime
    from sampan.model.init import STAGE

    base = tmp_path_factory.mktemp("train-tiny")
    for name in ("tokenizer", "model", "state"):
        (base / name).mkdir()
    write_tokenizer(base / "tokenizer")
    params = STAGE.params(hidden_size=32, num_layers=2, num_heads=4, num_kv_heads=2, context_len=64)
    source = as_artifact(base / "tokenizer", "tokenizer")
    STAGE.run(params, Inputs({"tokenizer": [source]}), Runtime(out=base / "model", state=base / "state"))
    return base / "model"


@pytest.fixture(scope="session")
def make_shards(tiny) -> Callable[..., Path]:
    """Write shards of {language: [ids, …]} made, as they say, with `tiny`'s tokenizer."""
    from sampan.artifacts.tokens import TokenWriter
    from sampan.model.tokenizer import tokenizer_digest

    def make(folder: Path, streams: dict[str, list], *, masks=None, vocab_size=360, digest=None) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        writer = TokenWriter(folder, vocab_size=vocab_size, tokenizer_digest=digest or tokenizer_digest(tiny))
        for language, documents in streams.items():
            for number, ids in enumerate(documents):
                writer.write(ids, stream=language, mask=masks and masks[language][number])
        writer.close()
        return folder

    return make


@pytest.fixture(scope="session")
def shards(make_shards, tmp_path_factory) -> Path:
    """Two languages of unequal size, documents of 5 to 40 tokens drawn from a skewed law."""
    rng = np.random.default_rng(0)

    def documents(count: int, low: int) -> list[list[int]]:
        return [[1, *(low + rng.zipf(1.6, rng.integers(4, 40)) % 50).tolist()] for _ in range(count)]

    streams = {"tha_Thai": documents(30, 100), "eng_Latn": documents(90, 200)}
    return make_shards(tmp_path_factory.mktemp("shards") / "tokens", streams)


@pytest.fixture
def run_stage(tmp_path) -> Callable[..., tuple[dict, Path]]:
    """Run a stage on plain folders: (metrics, output folder). `state` is kept between calls with the same name."""
    from sampan.core.stage import Inputs, Runtime

    def run(stage, given: dict[str, tuple[str, list[Path]]], name: str = "run", *, fresh_out: bool = True, **values):
        runtime_keys = ("on_progress", "checkpoint_seconds", "spread")
        runtime_values = {key: values.pop(key) for key in runtime_keys if key in values}
        out, state = tmp_path / f"{name}-out", tmp_path / f"{name}-state"
        out.mkdir(exist_ok=not fresh_out)
        state.mkdir(exist_ok=True)
        inputs = Inputs({role: [as_artifact(path, kind) for path in paths] for role, (kind, paths) in given.items()})
        params = stage.params(**values)
        stage.check_inputs({role: [kind] * len(paths) for role, (kind, paths) in given.items()}, params, where="test")
        metrics = stage.run(params, inputs, Runtime(out=out, state=state, **runtime_values))
        return dict(metrics), out

    return run


@pytest.fixture(scope="session")
def artifact() -> Callable:
    """A plain folder as a stage sees it."""
    return as_artifact


@pytest.fixture(scope="session")
def weights_of() -> Callable[[Path], dict]:
    from safetensors.torch import load_file

    return lambda folder: load_file(folder / "model.safetensors")
