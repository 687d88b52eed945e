"""Decoding does not depend on the batch, and a real checkpoint tells its golden story."""

from __future__ import annotations

import pytest

from sampan.core.errors import InputError
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.model.adopt import STAGE as IMPORT
from sampan.model.checkpoint import load_model
from sampan.model.generate import Decoding, generate, stream
from sampan.model.tokenizer import load_tokenizer

PROMPTS = ["the cat", "a", "in the water there", "ไป"]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_batching_changes_nothing(loaded, temperature):
    model, tokenizer = loaded
    ids = [tokenizer(text)["input_ids"] for text in PROMPTS]
    how = Decoding(max_new_tokens=12, temperature=temperature, top_p=0.9, seed=5)
    together = generate(model, ids, how, stop_ids=[2], batch_size=4)
    assert together == generate(model, ids, how, stop_ids=[2], batch_size=1)
    if temperature == 0:
        assert together[0] == list(stream(model, ids[0], how, stop_ids=[2]))


def test_greedy_is_argmax_of_a_full_forward(loaded):
    import torch

    model, tokenizer = loaded
    ids = tokenizer("the cat")["input_ids"]
    out = generate(model, [ids], Decoding(max_new_tokens=8), stop_ids=[])[0]
    for step in range(len(out)):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids + out[:step]])).logits[0, -1]
        assert out[step] == int(logits.argmax())


def test_seeds_differ_and_stop_token_is_not_returned(loaded):
    model, tokenizer = loaded
    ids = [tokenizer(text)["input_ids"] for text in PROMPTS]
    one = generate(model, ids, Decoding(max_new_tokens=12, temperature=1.0, seed=1), stop_ids=[])
    two = generate(model, ids, Decoding(max_new_tokens=12, temperature=1.0, seed=2), stop_ids=[])
    assert one != two
    stopped = generate(model, ids, Decoding(max_new_tokens=12, temperature=1.0, seed=1), stop_ids=[one[0][3]])
    assert stopped[0] == one[0][: one[0].index(one[0][3])]


def test_an_answer_as_long_as_the_window_is_refused(loaded):
    model, _ = loaded
    window = model.config.max_position_embeddings
    how = Decoding(max_new_tokens=window)
    with pytest.raises(InputError, match="no room for a prompt"):
        generate(model, [[1]], how, stop_ids=[])
    with pytest.raises(InputError, match="no room for a prompt"):
        list(stream(model, [1], how, stop_ids=[]))
    assert len(generate(model, [[1]], Decoding(max_new_tokens=window - 1), stop_ids=[])[0]) == window - 1


@pytest.mark.shared
def test_stories260k_tells_its_golden_story(shared, tmp_path):
    """A real Llama checkpoint in llama2.c's format, imported as a Hugging Face folder, says what it said there."""
    source = shared / "data" / "models" / "stories260K"
    for name in ("out", "state"):
        (tmp_path / name).mkdir()
    files = Artifact(path=source, kind="external", digest="", name="files")
    facts = IMPORT.run(
        IMPORT.params(), Inputs({"files": [files]}), Runtime(out=tmp_path / "out", state=tmp_path / "state")
    )
    assert facts["parameters"] == 260_032
    model, tokenizer = load_model(tmp_path / "out"), load_tokenizer(tmp_path / "out")
    ids = generate(model, [[tokenizer.bos_token_id]], Decoding(max_new_tokens=256), stop_ids=[])[0]
    golden = (source / "greedy_256.txt").read_text(encoding="utf-8").strip()
    assert tokenizer.decode(ids).strip() == golden


def test_pickled_weights_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="pickled.*safetensors"):
        load_model(tmp_path)


def test_import_copies_a_folder_whole(tiny, tmp_path):
    for name in ("out", "state"):
        (tmp_path / name).mkdir()
    files = Artifact(path=tiny, kind="external", digest="", name="files")
    IMPORT.run(IMPORT.params(chat_template="chatml"), Inputs({"files": [files]}),
               Runtime(out=tmp_path / "out", state=tmp_path / "state"))  # fmt: skip
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()
    assert "im_end" in load_tokenizer(tmp_path / "out").chat_template
