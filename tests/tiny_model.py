"""A tiny random Llama with a tokenizer of 300-odd pieces, saved as a checkpoint."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sampan.core.stage import Artifact, Inputs, Runtime

LETTERS = "abcdefghijklmnopqrstuvwxyzABCD0123456789.,:?-\nกขคงมานเพราะดังนั้ฉัไ"
JOINED = ("▁a", "▁b", "▁A", "bc", "ab", "th", "the", "▁the", "มา", "าม", "นา")


def save_tokenizer(folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    from sampan.model.chat import write_template
    from sampan.model.sentencepiece_bpe import build_tokenizer

    names = ["<unk>", "<s>", "</s>", *(f"<0x{n:02X}>" for n in range(256)), "▁", *dict.fromkeys(LETTERS), *JOINED]
    usable = [n >= 259 for n in range(len(names))]
    tokenizer = build_tokenizer(
        [(name, -float(n)) for n, name in enumerate(names)],
        unk="<unk>",
        specials=["<unk>", "<s>", "</s>"],
        prefix_space=False,
        mergeable=usable,
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(folder)
    write_template(folder, "seallm-v2")


def save_tiny(folder: Path, *, seed: int = 0, context_len: int = 128, hidden_size: int = 32) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from sampan.model.checkpoint import save_model
    from sampan.model.tokenizer import load_tokenizer

    folder.mkdir(parents=True)
    save_tokenizer(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(load_tokenizer(folder)),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context_len,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.5,  # far from uniform, so that an error of one position shows
    )
    save_model(LlamaForCausalLM(config), folder)
    return folder


@pytest.fixture(scope="session")
def make_tiny():
    return save_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("evals") / "tiny")


@pytest.fixture(scope="session")
def other(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("evals") / "other", seed=1)


@pytest.fixture(scope="session")
def loaded(tiny):
    from sampan.model.checkpoint import load_model
    from sampan.model.tokenizer import load_tokenizer

    return load_model(tiny), load_tokenizer(tiny)


@pytest.fixture(scope="session")
def artifact():
    def make(path: Path, kind: str, name: str = "") -> Artifact:
        return Artifact(path=path, kind=kind, digest=f"digest-of-{path.name}", name=name or path.name)

    return make


@pytest.fixture
def one_loads_at_a_time(monkeypatch):
    """For threads that stand for processes: transformers changes its classes while it loads a model."""
    from sampan.model import checkpoint

    load, lock = checkpoint.load_model, threading.Lock()

    def alone(*given, **how):
        with lock:
            return load(*given, **how)

    monkeypatch.setattr(checkpoint, "load_model", alone)


@pytest.fixture
def run_stage(tmp_path):
    """Run a stage on {role: [artifacts]}; returns (out, metrics). Calls share `state` unless told otherwise."""
    from sampan.core.params import parse_params

    count = 0

    def run(stage, given, state: str = "state", **values):
        nonlocal count
        count += 1
        out = tmp_path / f"out-{count}"
        out.mkdir()
        runtime = Runtime(out=out, state=tmp_path / state)
        params = parse_params(stage.params, values, where="test")
        stage.check_inputs({role: [a.kind for a in found] for role, found in given.items()}, params, where="test")
        metrics = stage.run(params, Inputs(given), runtime)
        return out, metrics

    return run
