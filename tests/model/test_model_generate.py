"""Decoding does not depend on the batch, and a real checkpoint tells its golden story."""

from __future__ import annotations

import random

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


def many_prompts(model, count: int = 23) -> list[list[int]]:
    """Prompts of 1 to 43 tokens, of which two thirds begin with the same 36."""
    draw = random.Random(3)
    block = [draw.randrange(3, model.config.vocab_size) for _ in range(36)]
    tails = [[draw.randrange(3, model.config.vocab_size) for _ in range(draw.randint(1, 7))] for _ in range(count)]
    return [(block if n % 3 else []) + tail for n, tail in enumerate(tails)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_slots_answer_as_padded_batches_do(loaded, monkeypatch, temperature, batch_size):
    """Answers of different lengths make place for one another; the plain way is the reference."""
    model, _ = loaded
    how = Decoding(max_new_tokens=20, temperature=temperature, seed=2)
    prompts = many_prompts(model)
    asked = {
        "stop_ids": range(3, 40),
        "ended": [lambda ids, n=n: ids[-1] % (7 + n % 2) == 0 for n in range(len(prompts))],
    }
    in_slots = generate(model, prompts, how, batch_size=batch_size, **asked)
    monkeypatch.setattr("sampan.model.shared_prefix.can_share", lambda model: False)
    assert in_slots == generate(model, prompts, how, batch_size=4, **asked)
    assert len({len(ids) for ids in in_slots}) > 3


def test_what_prompts_share_is_held_once(loaded, monkeypatch):
    """A family's slots hold its prompts less their common beginning; the rest's hold their prompts whole."""
    from sampan.model import slots

    model, _ = loaded
    prompts = many_prompts(model)
    made = []

    class Seen(slots.Slots):
        def __init__(self, *args):
            super().__init__(*args)
            made.append((self.size, self.behind, self.lengths))

    monkeypatch.setattr(slots, "Slots", Seen)
    generate(model, prompts, Decoding(max_new_tokens=2), stop_ids=[], batch_size=8)
    assert [(size, behind) for size, behind, _ in made] == [(8, 36), (8, 0)]


def test_progress_counts_finished_answers_up_to_all(loaded):
    model, _ = loaded
    seen = []
    how = Decoding(max_new_tokens=4)
    generate(model, many_prompts(model), how, stop_ids=[], batch_size=4, progress=lambda *args: seen.append(args))
    assert seen == sorted(seen)
    assert seen[-1] == (23, 23)
