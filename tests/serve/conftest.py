"""A tiny random chat model whose tokenizer knows few letters, so that most scripts come as bytes, and a live server."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

import pytest

PIECES = ["▁", *"abcdefghijklmnopqrstuvwxyz.,!?\n", *"กขคงสวดี", "th", "▁th", "▁the", "he", "in", "▁a", "สว", "ดี", "สวดี"]
TURNS = ["<|im_start|>", "<|im_end|>"]


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory) -> Path:
    from sampan.model.chat import write_template
    from sampan.model.sentencepiece_bpe import build_tokenizer

    specials = ["<unk>", "<s>", "</s>", *TURNS]
    names = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES]
    normal = [number >= len(specials) + 256 for number in range(len(names))]
    pieces = [
        (name, -float(number) if ok else 0.0) for number, (name, ok) in enumerate(zip(names, normal, strict=True))
    ]
    tokenizer = build_tokenizer(pieces, unk="<unk>", specials=specials, mergeable=normal)
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}
    settings |= {"bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    write_template(folder, "seallm-v2")
    return folder


@pytest.fixture(scope="session")
def model_folder(tokenizer_folder, tmp_path_factory) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from sampan.model.checkpoint import save_model
    from sampan.model.tokenizer import load_tokenizer

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(load_tokenizer(tokenizer_folder)),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=4096,
        initializer_range=0.5,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[:5] = 0  # control tokens are never the likeliest, so answers do not end by chance
    folder = tmp_path_factory.mktemp("model")
    save_model(model, folder, tokenizer_from=tokenizer_folder)
    return folder


@pytest.fixture(scope="session")
def engine(model_folder):
    from sampan.serve.engine import Engine

    return Engine(model_folder)


@pytest.fixture(scope="session")
def running():
    """running(folder, **options) -> context manager that gives the URL of a live server on a free port."""

    @contextlib.contextmanager
    def run(folder: Path, **options):
        from sampan.serve.server import open_server

        ready = threading.Event()
        server = open_server(folder, name="mini", port=0, on_ready=lambda url: ready.set(), **options)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            assert ready.wait(20)
            yield server.url
        finally:
            server.stop()
            thread.join(20)
            assert not thread.is_alive()

    return run


@pytest.fixture(scope="session")
def url(running, model_folder):
    with running(model_folder) as found:
        yield found


@pytest.fixture(scope="session")
def guarded_url(running, model_folder):
    with running(model_folder, token="s3cret", max_body_bytes=2000, max_tokens=50) as found:
        yield found


@pytest.fixture(scope="session")
def client(url):
    from openai import OpenAI

    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
