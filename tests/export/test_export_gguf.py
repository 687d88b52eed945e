from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.core.errors import StageError
from sampan.export.gguf import STAGE
from sampan.export.gguf_parity import SENTENCES, spm_ids
from sampan.export.gguf_vocab import BYTE, CONTROL, PRE_TYPES, UNKNOWN, UNUSED, read_vocabulary
from sampan.model.checkpoint import load_model
from sampan.model.tokenizer import load_tokenizer


def fields(path):
    import gguf

    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


def logits_of(model, ids):
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([list(ids)])).logits[0].numpy()


def gguf_logits(path, ids):
    """Logits [T, V] by a plain float64 forward pass over a GGUF file of the Llama, Qwen or Gemma kind.

    llama.cpp turns neighbouring pairs in `llama` files and halves in the others. In `gemma2` every second block attends
    to everything, in `gemma3` every sixth; the others have a window, and in `gemma3` a rotary base of 10,000.
    """
    import gguf

    reader = gguf.GGUFReader(path)
    w = {t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}
    arch = reader.fields["general.architecture"].contents()
    hp = {name.partition(".")[2]: field.contents() for name, field in reader.fields.items() if name.startswith(arch)}
    H, K, hd = hp["attention.head_count"], hp["attention.head_count_kv"], hp["attention.key_length"]
    T, eps = len(ids), hp["attention.layer_norm_rms_epsilon"]
    gemma, every = arch.startswith("gemma"), {"gemma2": 2, "gemma3": 6}.get(arch, 1)

    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w[name]

    def turn(x_THd, base):
        angle_Td = np.arange(T)[:, None] * base ** (-np.arange(hd // 2) / (hd // 2)) / w.get("rope_freqs.weight", 1.0)
        turned = np.empty_like(x_THd)
        pairs = (slice(0, None, 2), slice(1, None, 2)) if arch == "llama" else (slice(hd // 2), slice(hd // 2, None))
        even, odd = (x_THd[..., half] for half in pairs)
        cos, sin = np.cos(angle_Td)[:, None], np.sin(angle_Td)[:, None]
        turned[..., pairs[0]], turned[..., pairs[1]] = even * cos - odd * sin, odd * cos + even * sin
        return turned

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    def capped(x, name):
        return np.tanh(x / hp[name]) * hp[name] if name in hp else x

    def bent(x):
        return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2 if gemma else x / (1 + np.exp(-x))

    def after(x, name):
        return norm(x, name) if name in w else x

    x_TD = w["token_embd.weight"][ids] * (np.sqrt(hp["embedding_length"]) if gemma else 1)
    for layer in range(hp["block_count"]):
        at = f"blk.{layer}."
        whole = (layer + 1) % every == 0
        far = np.subtract.outer(np.arange(T), np.arange(T)) >= (T if whole else hp["attention.sliding_window"])
        h = norm(x_TD, at + "attn_norm.weight")
        q, k, v = (linear(h, f"{at}attn_{n}").reshape(T, -1, hd) for n in "qkv")
        if at + "attn_q_norm.weight" in w:
            q, k = norm(q, at + "attn_q_norm.weight"), norm(k, at + "attn_k_norm.weight")
        q, k = (turn(x, 10_000.0 if arch == "gemma3" and not whole else hp["rope.freq_base"]) for x in (q, k))
        k, v = np.repeat(k, H // K, 1), np.repeat(v, H // K, 1)
        scores = capped(np.einsum("thd,shd->hts", q, k) / np.sqrt(hd), "attn_logit_softcapping")
        scores = np.where(far, -np.inf, scores + np.triu(np.full((T, T), -np.inf), 1))
        probs = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = np.einsum("hts,shd->thd", probs / probs.sum(-1, keepdims=True), v).reshape(T, -1)
        x_TD = x_TD + after(linear(mixed, at + "attn_output"), at + "post_attention_norm.weight")
        h = norm(x_TD, at + "ffn_norm.weight")
        down = linear(bent(linear(h, at + "ffn_gate")) * linear(h, at + "ffn_up"), at + "ffn_down")
        x_TD = x_TD + after(down, at + "post_ffw_norm.weight")
    logits = norm(x_TD, "output_norm.weight") @ w.get("output.weight", w["token_embd.weight"]).T
    return capped(logits, "final_logit_softcapping")


GEMMA = {"tie_word_embeddings": True, "query_pre_attn_scalar": 12, "num_hidden_layers": 7, "sliding_window": 6}
CAPS = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True, "num_key_value_heads": 4, "rope_theta": 5e5}),
        ("mistral", {"sliding_window": None}),
        ("qwen2", {}),
        ("qwen3", {}),
        ("gemma", {"tie_word_embeddings": True}),
        ("gemma2", {**GEMMA, **CAPS}),
        ("gemma3_text", GEMMA),
    ],
)
def test_another_reader_computes_the_same(byte_level_folder, make_model, run_stage, kind, config):
    """A reference forward pass that knows the file only, with llama.cpp's rotary conventions."""
    model = make_model(byte_level_folder, kind, **config)
    out, _ = run_stage(STAGE, model)
    theirs = gguf_logits(out / "model.gguf", list(range(40, 60)))
    # Ours is float32 and the reference float64: the sums of two layers of width 48 agree to about 1e-5.
    assert np.abs(logits_of(load_model(model), range(40, 60)) - theirs).max() < 1e-4


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_round_matrices_and_keep_vectors(spm_folder, make_model, run_stage, dtype):
    import gguf
    import torch
    from safetensors.torch import load_file

    model = make_model(spm_folder)
    out, _ = run_stage(STAGE, model, dtype=dtype)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(out / "model.gguf").tensors}
    weights = load_file(model / "model.safetensors")
    assert tensors["output_norm.weight"].tensor_type == gguf.GGMLQuantizationType.F32
    found = tensors["blk.1.ffn_up.weight"]
    values = torch.from_numpy(gguf.dequantize(found.data, found.tensor_type).copy())
    meant = weights["model.layers.1.mlp.up_proj.weight"].to(getattr(torch, dtype)).float()
    assert torch.equal(values.reshape(meant.shape), meant)


def test_query_rows_are_interleaved_by_head(spm_folder, make_model, run_stage):
    """Worked by hand: head 1 of 4 with 12 rows begins at row 12; its rows 0, 6, 1, 7 … follow each other in GGUF."""
    import gguf
    import torch
    from safetensors.torch import load_file

    model = make_model(spm_folder)
    out, _ = run_stage(STAGE, model)
    stored = next(t for t in gguf.GGUFReader(out / "model.gguf").tensors if t.name == "blk.0.attn_q.weight")
    ours = load_file(model / "model.safetensors")["model.layers.0.self_attn.q_proj.weight"]
    rows = [12, 18, 13, 19, 14, 20, 15, 21, 16, 22, 17, 23]
    assert torch.equal(torch.from_numpy(stored.data.copy())[12:24], ours[rows])


def test_sentencepiece_metadata(spm_folder, make_model, run_stage):
    out, metrics = run_stage(STAGE, make_model(spm_folder), manifest={"licenses": ["mit"]}, languages=["tha_Thai"])
    found, tokenizer = fields(out / "model.gguf"), load_tokenizer(spm_folder)
    assert found["tokenizer.ggml.model"] == "llama"
    assert found["tokenizer.ggml.tokens"][: len(tokenizer)] == tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    types = found["tokenizer.ggml.token_type"]
    assert types[:3] == [UNKNOWN, CONTROL, CONTROL]
    assert types.count(BYTE) == 256
    assert types[-5:] == [UNUSED] * 5
    assert (found["tokenizer.ggml.bos_token_id"], found["tokenizer.ggml.eos_token_id"]) == (1, 2)
    assert found["tokenizer.ggml.add_bos_token"] is True, "the template begins with BOS"
    assert found["tokenizer.chat_template"] == tokenizer.chat_template
    assert found["general.license"] == "mit"
    assert found["general.sampling.penalty_repeat"] == 1.0
    assert metrics["notices"] == []


def test_byte_level_metadata(byte_level_folder, make_model, run_stage):
    out, _ = run_stage(STAGE, make_model(byte_level_folder, "qwen2"))
    found, tokenizer = fields(out / "model.gguf"), load_tokenizer(byte_level_folder)
    spec = json.loads((byte_level_folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert (found["tokenizer.ggml.model"], found["tokenizer.ggml.pre"]) == ("gpt2", "qwen2")
    assert found["tokenizer.ggml.merges"] == [" ".join(pair) for pair in spec["model"]["merges"]]
    assert found["tokenizer.ggml.eot_token_id"] == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert found["tokenizer.ggml.add_bos_token"] is False


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_replayed_llama_cpp_tokenizer_equals_sentencepiece(spm_folder, sentencepiece_model, data):
    """Scores from tokenizer.json's merges alone give the ids of the SentencePiece library that trained them."""
    pieces = [sentencepiece_model.id_to_piece(i).replace("▁", " ") for i in range(259, 520)]
    text = data.draw(
        st.lists(st.sampled_from([*pieces, "ß", "ក", "🙂", *SENTENCES.values()]), max_size=12).map("".join)
    )
    vocabulary = read_vocabulary(spm_folder, 525)
    ids = {token: number for number, token in enumerate(vocabulary.tokens)}
    assert spm_ids(text, vocabulary, ids) == sentencepiece_model.encode(text)


@pytest.mark.parametrize("pre", [pre for pre in PRE_TYPES if not pre.llama_cpp and pre.name != "gpt-2"])
def test_regexes_are_recognised(pre, byte_level):
    assert read_vocabulary(byte_level(pre.regex), 600).pre == pre.name


def test_unknown_regex_needs_a_name(byte_level, make_model, run_stage):
    model = make_model(byte_level(r"\p{L}+|\P{L}+"))
    with pytest.raises(StageError, match=r"no name for this pre-tokenizer.*pre_type"):
        run_stage(STAGE, model)
    out, metrics = run_stage(STAGE, model, pre_type="falcon")
    assert fields(out / "model.gguf")["tokenizer.ggml.pre"] == "falcon"
    assert "by hand" in metrics["notices"][0]
    assert "by hand" in (out / "README.md").read_text(encoding="utf-8")


def test_tekken_is_refused_because_llama_cpp_cuts_thai_otherwise(byte_level, make_model, run_stage):
    tekken = next(pre for pre in PRE_TYPES if pre.name == "tekken")
    model = make_model(byte_level(tekken.regex))
    with pytest.raises(StageError, match="tha_Thai"):
        run_stage(STAGE, model)
    _, metrics = run_stage(STAGE, model, allow_other_tokens=True)
    assert "mya_Mymr" in metrics["notices"][0]


def test_sentencepiece_with_merges_llama_cpp_cannot_know_is_refused(spm_folder, make_model, run_stage, tmp_path):
    """llama.cpp joins any neighbours whose join is a token; without its merges the piece is never built here."""
    folder = tmp_path / "tokenizer"
    shutil.copytree(spm_folder, folder)
    spec = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    merges = [pair if isinstance(pair, list) else pair.split(" ") for pair in spec["model"]["merges"]]
    spec["model"]["merges"] = [pair for pair in merges if "".join(pair) != "▁the"]
    (folder / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    with pytest.raises(StageError, match="other token ids"):
        run_stage(STAGE, make_model(folder))


@pytest.mark.parametrize(
    ("kind", "config", "says"),
    [
        ("olmo2", {}, "architecture 'olmo2'.*llama, mistral"),
        ("gemma", {}, "has tied embeddings: True, this model False"),
        ("gemma2", {**GEMMA, "query_pre_attn_scalar": 16}, "query_pre_attn_scalar 12, this model 16"),
        ("gemma2", {**GEMMA, "layer_types": ["full_attention"] * 7}, "blocks with windows"),
        ("gemma2", {**GEMMA, "attn_logit_softcapping": None}, "soft caps"),
        ("gemma3_text", {**GEMMA, "final_logit_softcapping": 30.0}, "soft caps"),
        ("gemma3_text", {**GEMMA, "hidden_activation": "silu"}, "activation"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}, "dynamic"),
    ],
)
def test_what_it_does_not_know_is_refused(spm_folder, make_model, run_stage, kind, config, says):
    with pytest.raises(StageError, match=says):
        run_stage(STAGE, make_model(spm_folder, kind, **config))


def test_llama3_rope_factors_equal_transformers(spm_folder, make_model, run_stage):
    import gguf
    import torch

    rope = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    model = make_model(spm_folder, rope_parameters=rope)
    out, _ = run_stage(STAGE, model)
    stored = next(t for t in gguf.GGUFReader(out / "model.gguf").tensors if t.name == "rope_freqs.weight")
    plain = 10000.0 ** (-torch.arange(6) / 6)
    theirs = load_model(model).model.rotary_emb.inv_freq
    # Both are float32; a divisor and a product differ by a few units in the last place.
    assert torch.allclose(plain / torch.from_numpy(stored.data.copy()), theirs, rtol=1e-5)


def test_same_inputs_give_the_same_bytes(spm_folder, make_model, run_stage):
    model = make_model(spm_folder)
    first, _ = run_stage(STAGE, model)
    second, _ = run_stage(STAGE, model)
    assert (first / "model.gguf").read_bytes() == (second / "model.gguf").read_bytes()


@pytest.mark.parametrize(
    ("kind", "config"),
    [("llama", {}), ("gemma", {"tie_word_embeddings": True}), ("gemma2", {**GEMMA, **CAPS}), ("gemma3_text", GEMMA)],
)
def test_llama_cpp_continues_alike(spm_folder, make_model, run_stage, kind, config):
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is an optional peer")
    from sampan.model.generate import Decoding, generate

    model = make_model(spm_folder, kind, **config)
    out, _ = run_stage(STAGE, model)
    prompt = load_tokenizer(model)("the cat", add_special_tokens=False)["input_ids"]
    ours = generate(load_model(model), [prompt], Decoding(max_new_tokens=8), stop_ids=[])[0]
    peer = llama_cpp.Llama(str(out / "model.gguf"), n_ctx=64, verbose=False)
    theirs = peer.generate(prompt, temp=0, repeat_penalty=1.0)
    assert [next(theirs) for _ in ours] == ours


@pytest.mark.shared
def test_stories260k_as_gguf_tells_the_golden_story(shared, run_stage, tmp_path):
    """The reference reader, given the file and the golden text's tokens, finds each next token the likeliest."""
    from sampan.model.llama2c import convert

    source, folder = shared / "data/models/stories260K", tmp_path / "stories"
    folder.mkdir()
    convert(source / "stories260K.bin", source / "tok512.bin", folder)
    out, metrics = run_stage(STAGE, folder)
    assert metrics["notices"] == []
    golden = (source / "greedy_256.txt").read_text(encoding="utf-8").rstrip("\n")
    ids = [1, *load_tokenizer(folder)(golden, add_special_tokens=False)["input_ids"]][:256]
    chosen = gguf_logits(out / "model.gguf", ids).argmax(-1)
    # The story was printed as text; near its end a word may be spelt with other tokens than the model chose.
    assert (chosen[:-1] == ids[1:]).mean() > 0.98


def test_tokenizer_larger_than_the_embedding_is_no_gguf(spm_folder, make_model, run_stage):
    model = make_model(spm_folder, vocab_size=100)
    with pytest.raises(StageError, match="embedding 100 rows"):
        run_stage(STAGE, model)
    with pytest.raises(StageError, match="embedding has 100 rows"):
        read_vocabulary(model, 100)


def test_unknown_token_may_be_an_added_token_only(spm_folder, tmp_path):
    path = tmp_path / "tokenizer.json"
    spec = json.loads((spm_folder / "tokenizer.json").read_text("utf-8"))
    number = spec["model"]["vocab"].pop("<unk>")
    path.write_text(json.dumps(spec), "utf-8")
    size = len(spec["model"]["vocab"]) + 1
    assert read_vocabulary(tmp_path, size).types[number] == UNKNOWN
    spec["added_tokens"] = [added for added in spec["added_tokens"] if added["content"] != "<unk>"]
    path.write_text(json.dumps(spec), "utf-8")
    assert UNKNOWN not in read_vocabulary(tmp_path, size).types


def test_tensors_out_of_order_are_an_error(spm_folder, tmp_path):
    import torch

    from sampan.export.gguf_file import write_gguf

    vocabulary = read_vocabulary(spm_folder, len(load_tokenizer(spm_folder)))
    specs = {"a": ((1,), "float32"), "b": ((1,), "float32")}
    with pytest.raises(StageError, match="b came where a"):
        write_gguf(tmp_path / "x.gguf", "llama", {}, vocabulary, specs, [(n, torch.zeros(1)) for n in "ba"])
