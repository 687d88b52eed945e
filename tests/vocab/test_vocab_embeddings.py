"""New embedding rows: means of what used to spell the piece; everything old bit for bit."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from vocab_corpora import make_texts, run_stage

from sampan.model.checkpoint import load_model, save_model
from sampan.model.tokenizer import load_tokenizer
from sampan.vocab.expand import STAGE

EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
PADDING_ROWS = 24


def tiny_model(folder, tokenizer_folder, *, tied):
    """A Llama of width 16 with more embedding rows than its tokenizer has ids, as Qwen has."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(load_tokenizer(tokenizer_folder)) + PADDING_ROWS,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        tie_word_embeddings=tied,
        initializer_range=0.5,
    )
    folder.mkdir()
    save_model(LlamaForCausalLM(config), folder, tokenizer_from=tokenizer_folder)
    return folder


@pytest.fixture(scope="module", params=["sentencepiece", "byte_level"])
def grown(request, tmp_path_factory, bases, corpus):
    root = tmp_path_factory.mktemp("models")
    base = tiny_model(root / "base", bases[request.param], tied=request.param == "byte_level")
    metrics = run_stage(STAGE, root / "out", {"base": base, "documents": corpus}, num_new_tokens=300)
    return base, root / "out", metrics


def test_old_rows_and_other_tensors_are_bit_equal(grown):
    base, out, metrics = grown
    old, new = load_file(base / "model.safetensors"), load_file(out / "model.safetensors")
    assert old.keys() == new.keys()
    for name, tensor in old.items():
        assert torch.equal(new[name][: len(tensor)], tensor), name
        assert name in (EMBED, HEAD) or new[name].shape == tensor.shape
    size = json.loads((out / "config.json").read_text())["vocab_size"]
    assert size == len(load_tokenizer(out)) == len(new[EMBED]) == metrics["vocab_size"]
    assert metrics["parameters"] == sum(tensor.numel() for tensor in new.values())


def test_new_rows_point_where_the_mean_of_the_old_spelling_does(grown):
    """Cosine 1 to 1e-5 (float32 sums of 16 numbers). Input and output each have their own."""
    base, out, _ = grown
    before, after = load_tokenizer(base), load_tokenizer(out)
    old, new = load_file(base / "model.safetensors"), load_file(out / "model.safetensors")
    known, seen = before.get_vocab(), 0
    for token, number in after.get_vocab().items():
        if token in known or token.startswith("<|reserved_"):
            continue
        parts = [part.id for part in before.backend_tokenizer.model.tokenize(token)]
        seen += len(parts) > 1
        for name in {EMBED, HEAD} & old.keys():
            mean = old[name][parts].mean(0)
            assert torch.nn.functional.cosine_similarity(new[name][number], mean, dim=0) > 1 - 1e-5
    assert seen > 150


def test_english_is_scored_as_before(grown):
    """Logits of all old tokens on English text agree to 1e-5: the same sums, over a wider output matrix, whose kernels
    may add in another order. So does the loss among old tokens; new tokens only add to the denominator."""
    base, out, _ = grown
    tokenizer, text = load_tokenizer(out), make_texts("eng_Latn")[0]
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.inference_mode():
        old = load_model(base)(ids).logits[0]
        new = load_model(out)(ids).logits[0, :, : old.shape[1]]
    torch.testing.assert_close(new, old, rtol=0, atol=1e-5)
    loss = torch.nn.functional.cross_entropy
    torch.testing.assert_close(loss(new[:-1], ids[0, 1:]), loss(old[:-1], ids[0, 1:]), rtol=0, atol=1e-5)


def test_noise_and_random_rows_are_seeded(tmp_path, bases, corpus):
    base = tiny_model(tmp_path / "base", bases["sentencepiece"], tied=False)
    rows = {}
    given = {"base": base, "documents": corpus}
    for name, values in {
        "mean": {},
        "noise": {"init_noise": 0.1},
        "noise again": {"init_noise": 0.1},
        "other seed": {"init_noise": 0.1, "seed": 1},
        "random": {"init": "random"},
    }.items():
        run_stage(STAGE, tmp_path / name, given, num_new_tokens=200, languages=["th"], **values)
        rows[name] = load_file(tmp_path / name / "model.safetensors")[HEAD]
    first = len(load_file(base / "model.safetensors")[HEAD])
    assert torch.equal(rows["noise"], rows["noise again"])
    assert not torch.equal(rows["noise"], rows["other seed"])
    moved = (rows["noise"] - rows["mean"])[first:].std() / rows["mean"][:first].std()
    assert 0.09 < moved < 0.11  # a standard deviation of 0.1 over some 3 000 draws, which scatters by about 1 %
    old = rows["mean"][:first]
    assert 0.9 < rows["random"][first:].std() / old.std() < 1.1


def test_bfloat16_and_shards_are_kept(tmp_path, bases, corpus):
    from transformers import AutoModelForCausalLM

    base = tiny_model(tmp_path / "one", bases["sentencepiece"], tied=False)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    model.save_pretrained(tmp_path / "two", max_shard_size="15KB")
    for file in base.glob("tokenizer*"):
        (tmp_path / "two" / file.name).write_bytes(file.read_bytes())
    run_stage(STAGE, tmp_path / "out", {"base": tmp_path / "two", "documents": corpus}, num_new_tokens=200)
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 1
    grown = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert grown.dtype == torch.bfloat16
    first = len(model.get_input_embeddings().weight)
    for old, new in zip(model.state_dict().values(), grown.state_dict().values(), strict=True):
        assert torch.equal(new[: len(old)], old)
    parts = [part.id for part in load_tokenizer(base).backend_tokenizer.model.tokenize("ก")]
    number = load_tokenizer(tmp_path / "out").get_vocab()["ก"]
    assert number >= first
    mean = model.get_output_embeddings().weight[parts].float().mean(0)
    row = grown.get_output_embeddings().weight[number].float()
    # Each of 16 numbers is rounded by 0.2 % at most.
    assert torch.nn.functional.cosine_similarity(row, mean, dim=0) > 0.9999


@pytest.mark.shared
def test_a_trained_model_scores_english_as_before(tmp_path, shared):
    """The loss over the whole grown vocabulary moves by less than 1e-5: a model that was trained on English gives the
    bytes of Thai letters, and so their mean, next to no probability."""
    from sampan.model.adopt import STAGE as IMPORT

    base = tmp_path / "base"
    run_stage(IMPORT, base, {"files": shared / "data/models/stories260K"})
    texts = [shared / f"data/text/{name}/ntrex128.jsonl.gz" for name in ("th", "en")]
    run_stage(STAGE, tmp_path / "out", {"base": base, "documents": texts}, num_new_tokens=300)
    text = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
    losses = []
    for folder in (base, tmp_path / "out"):
        ids = torch.tensor([[1, *load_tokenizer(folder)(text, add_special_tokens=False)["input_ids"]]])
        with torch.inference_mode():
            losses.append(torch.nn.functional.cross_entropy(load_model(folder)(ids).logits[0, :-1], ids[0, 1:]))
    assert losses[0] < 1
    torch.testing.assert_close(losses[1], losses[0], rtol=0, atol=1e-5)
