"""Tiny random models with real tokenizers of both families, and a way to run a stage on a folder."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.export.gguf_parity import SENTENCES

TEXT = [*SENTENCES.values(), "the cat sat on the mat", "naga naga nagara", "สวัสดีครับ สวัสดีค่ะ"] * 4


@pytest.fixture(scope="session")
def sentencepiece_model():
    """A SentencePiece BPE processor with byte fallback, trained on a few sentences of every language."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=model,
        model_type="bpe",
        vocab_size=520,
        byte_fallback=True,
        character_coverage=0.98,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


@pytest.fixture(scope="session")
def spm_folder(sentencepiece_model, tmp_path_factory) -> Path:
    from sampan.model.chat import write_template
    from sampan.model.sentencepiece_bpe import build_tokenizer

    folder, model = tmp_path_factory.mktemp("spm"), sentencepiece_model
    ids = range(model.get_piece_size())
    normal = [not (model.is_control(i) or model.is_unknown(i) or model.is_byte(i)) for i in ids]
    tokenizer = build_tokenizer(
        [(model.id_to_piece(i), model.get_score(i)) for i in ids],
        unk="<unk>",
        specials=("<unk>", "<s>", "</s>"),
        mergeable=normal,
    )
    save_tokenizer(tokenizer, folder, bos="<s>", eos="</s>", unk="<unk>")
    write_template(folder, "seallm-v2")
    return folder


@pytest.fixture(scope="session")
def byte_level(tmp_path_factory):
    """byte_level(regex) -> folder of a byte-level BPE that cuts text by that regex, with ChatML's tokens."""

    def make(regex: str) -> Path:
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        split = pre_tokenizers.Split(Regex(regex), behavior="isolated")
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        tokenizer.train_from_iterator(
            TEXT, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
        )
        names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
        tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in names])
        folder = tmp_path_factory.mktemp("byte_level")
        save_tokenizer(tokenizer, folder, eos="<|endoftext|>")
        return folder

    return make


@pytest.fixture(scope="session")
def byte_level_folder(byte_level) -> Path:
    """A byte-level BPE with Qwen2's regex and a ChatML template."""
    from sampan.export.gguf_vocab import PRE_TYPES
    from sampan.model.chat import write_template

    folder = byte_level(next(pre.regex for pre in PRE_TYPES if pre.name == "qwen2"))
    write_template(folder, "chatml")
    return folder


def save_tokenizer(tokenizer, folder: Path, **specials: str) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"} | {f"{k}_token": v for k, v in specials.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


@pytest.fixture
def make_model(tmp_path):
    """make_model(tokenizer_folder, kind, **config) -> folder of a random model that speaks the tokenizer."""

    def make(tokenizer_folder: Path, kind: str = "llama", *, dtype: str = "float32", **config) -> Path:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        from sampan.model.checkpoint import save_model
        from sampan.model.tokenizer import load_tokenizer

        rows = len(load_tokenizer(tokenizer_folder))
        settings = {
            "vocab_size": rows + 5,  # padded rows, as real models have
            "hidden_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 12,
            "intermediate_size": 64,
            "max_position_embeddings": 128,
            "tie_word_embeddings": False,
            **config,
        }
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings))
        with torch.no_grad():
            for parameter in model.parameters():  # biases and norms begin at 0 and 1, where mistakes do not show
                parameter.add_(torch.randn_like(parameter) * 0.1)
        folder = tmp_path / "model"
        folder.mkdir()
        save_model(model.to(getattr(torch, dtype)), folder, tokenizer_from=tokenizer_folder)
        return folder

    return make


@pytest.fixture
def run_stage(tmp_path):
    """run_stage(stage, model_folder, manifest=…, scores=…, **params) -> (output folder, metrics)."""
    calls = iter(range(100))

    def run(stage, model: Path, *, manifest=None, scores: Artifact | None = None, **params):
        from sampan.core.params import parse_params

        out, state = (tmp_path / f"{name}{next(calls)}" for name in ("out", "state"))
        out.mkdir()
        state.mkdir()
        artifact = Artifact(path=model, kind="checkpoint", digest="d" * 64, name="mini", manifest=manifest or {})
        roles = {"model": [artifact]} | ({"scores": [scores]} if scores else {})
        given = parse_params(stage.params, params, where="test")
        return out, stage.run(given, Inputs(roles), Runtime(out=out, state=state))

    return run
