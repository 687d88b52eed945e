"""What is seen while a model is trained: losses by stream, text held out, samples, speed; none of it changes it."""

from __future__ import annotations

import json
import math
import sys
import types
from functools import partial

import pytest
import torch

from sampan.artifacts.documents import Document, DocumentWriter
from sampan.core.errors import RecipeError, StageError
from sampan.core.identity import digest_file, digest_tree
from sampan.train.causal_lm import STAGE
from sampan.train.trackers import FILE, flat

VALUES = {"context_len": 32, "micro_batch_tokens": 256, "lr": 3e-3, "eps": 1e-8, "global_batch_tokens": 256}
TEXTS = {"eng_Latn": ["the tin in the tent", "a thin hat " * 8], "tha_Thai": ["ไปในบ้าน"]}


@pytest.fixture
def run(tiny, shards, run_stage):
    def call(name="run", held_out=None, **values):
        given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [shards])}
        given |= {"held_out": ("documents", [held_out])} if held_out else {}
        return run_stage(STAGE, given, name, **{**VALUES, "num_tokens": 256 * 8, **values})

    return call


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held-out")
    with DocumentWriter(folder) as writer:
        for language, texts in TEXTS.items():
            for number, text in enumerate(texts):
                writer.write(Document(id=f"{language}-{number}", text=text, language=language, source="x"))
    return folder


def log(folder):
    return [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]


def test_losses_by_stream_add_up_to_the_loss(run):
    metrics, out = run(log_streams=True, mixture=())
    plain_metrics, plain = run("plain")
    assert metrics["loss_by_stream"] == plain_metrics["loss_by_stream"]
    for row in log(out):
        assert row["stream_loss"].keys() <= {"0/tha_Thai", "0/eng_Latn"}
        assert min(row["stream_loss"].values()) <= row["loss"] <= max(row["stream_loss"].values())
    assert "stream_loss" not in log(plain)[0]
    assert digest_file(out / "model.safetensors") == digest_file(plain / "model.safetensors")


@pytest.mark.parametrize("objective", ["dpo", "simpo", "kto"])
def test_preference_losses_of_languages_add_up_to_the_loss(tiny, run_stage, tmp_path, objective):
    """Weighted by their pairs, or answers; and a language's loss does not depend on micro-batches."""
    from sampan.artifacts.conversations import Preference, write_preferences
    from sampan.train.preference import STAGE as PREFERENCE

    folder = tmp_path / "pairs"
    folder.mkdir()
    rows = [
        Preference(
            id=str(n),
            prompt=[{"role": "user", "content": "the " * (1 + n % 3)}],
            chosen="in tin",
            rejected="a hat" * (1 + n % 2),
            language=("tha_Thai", "khm_Khmr")[n % 3 == 0],
        )
        for n in range(9)
    ]
    write_preferences(folder, rows)
    inputs = {"model": ("checkpoint", [tiny]), "preferences": ("preferences", [folder])}
    values = {"objective": objective, "context_len": 64, "epochs": 3, "lr": 1e-3, "eps": 1e-6, "log_streams": True}
    (metrics, whole), (_, parts) = (
        run_stage(PREFERENCE, inputs, str(size), micro_batch_tokens=size, **values) for size in (4096, 64)
    )
    assert metrics["loss_by_stream"].keys() == {"tha_Thai", "khm_Khmr"}
    for row, other in zip(log(whole), log(parts), strict=True):
        losses = row["stream_loss"]
        # six pairs of nine are Thai; sums of float32 in another order
        assert row["loss"] == pytest.approx((2 * losses["tha_Thai"] + losses["khm_Khmr"]) / 3, rel=1e-5)
        assert other["stream_loss"] == pytest.approx(losses, rel=1e-4)


def test_bits_per_byte_are_those_of_the_documents_scored_alone(run, held_out, tiny):
    from sampan.model.checkpoint import load_model
    from sampan.model.scoring import continuations, text_nats
    from sampan.model.tokenizer import load_tokenizer

    metrics, out = run(held_out=held_out, held_out_every=4)
    rows = [row for row in log(out) if "held_out" in row]
    assert [row["step"] for row in rows] == [0, 4, 8]
    tokenizer = load_tokenizer(tiny)
    for folder, row in ((tiny, rows[0]), (out, rows[-1])):
        model = load_model(folder)
        for language, texts in TEXTS.items():
            ids = [[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]] for text in texts]
            # windows one token longer than ours: both predict every token once, from at most 32 before it
            nats = text_nats(partial(continuations, model), [each[:33] for each in ids], context_len=33)
            if all(len(each) <= 33 for each in ids):
                bits = sum(nats) / math.log(2) / sum(len(text.encode()) for text in texts)
                assert row["held_out"][language] == pytest.approx(bits, rel=1e-4)
    assert metrics["held_out_bits_per_byte"]["last"] == rows[-1]["held_out"]


def test_watching_changes_no_weight_and_is_the_same_after_a_kill(run, held_out):
    plain = run("plain")[1]
    values = {"held_out": held_out, "held_out_every": 3, "prompts": ("the tin", "a"), "samples_every": 5}
    _, out = run("watched", **values)
    assert digest_file(out / "model.safetensors") == digest_file(plain / "model.safetensors")
    assert [row["step"] for row in log(out) if "samples" in row] == [0, 5, 8]

    def stop(done, total, unit):
        if done == 256 * 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("broken", on_progress=stop, checkpoint_seconds=0, **values)
    assert digest_tree(run("broken", fresh_out=False, **values)[1]) == digest_tree(out)


def test_samples_are_what_the_model_would_say_greedily(run, tiny):
    from sampan.model.checkpoint import load_model
    from sampan.model.encoding import encode_prompt
    from sampan.model.generate import Decoding, generate
    from sampan.model.tokenizer import load_tokenizer

    prompts = ("the tin", "a", "in the tent")
    _, out = run(prompts=prompts, sample_tokens=6)
    said = [sample["text"] for sample in log(out)[-1]["samples"]]
    tokenizer = load_tokenizer(tiny)
    ids = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    found = generate(load_model(out), ids, Decoding(max_new_tokens=6), stop_ids=[tokenizer.eos_token_id])
    assert said == [tokenizer.decode(each, skip_special_tokens=True) for each in found]


def test_what_cannot_be_watched_is_refused(run):
    with pytest.raises(RecipeError, match="held_out"):
        run("no-text", held_out_every=2)
    with pytest.raises(RecipeError, match="a prompt has"):
        run("long", prompts=("the tin " * 40,))


def test_trackers_get_the_numbers_and_change_no_byte(run, monkeypatch, tmp_path):
    sent = []

    class Writer:
        def __init__(self, folder):
            sent.append(folder)

        def add_scalar(self, name, value, step):
            sent.append((name, step))

        def close(self):
            sent.append("closed")

    plain = run("plain")[1]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    monkeypatch.setenv("SAMPAN_TRACKERS", "tensorboard:board")
    _, out = run("tracked")
    assert digest_tree(out) == digest_tree(plain)
    assert sent[0] == "board"
    assert sent[-1] == "closed"
    assert [step for name, step in sent[1:-1] if name == "loss"] == list(range(1, 9))
    live = [json.loads(line) for line in (tmp_path / "tracked-state" / FILE).read_text().splitlines()]
    assert [row["step"] for row in live] == list(range(1, 9))
    assert live[-1]["tokens_per_second"] > 0
    assert live[-1]["memory_bytes"] > 50e6, "torch alone takes more"


@pytest.mark.parametrize("lr", [1e-3, 1e30])
def test_trackers_are_told_how_a_run_ended(run, monkeypatch, lr):
    """One that is not told would show a run that broke as under way for ever."""
    told = []
    runs = types.SimpleNamespace(log=lambda values, step: None, finish=lambda exit_code: told.append(exit_code))
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=lambda project: runs))
    flow = {name: lambda *_, **__: None for name in ("set_experiment", "start_run", "log_metrics")}
    monkeypatch.setitem(sys.modules, "mlflow", types.SimpleNamespace(**flow, end_run=told.append))
    monkeypatch.setenv("SAMPAN_TRACKERS", "wandb,mlflow")
    values = {"lr": lr, "warmup_share": 0, "max_grad_norm": 0, "max_skips": 0}
    if lr < 1:
        run(**values)
        assert told == [0, "FINISHED"]
        return
    with pytest.raises(StageError, match="training broke"):
        run(**values)
    assert told == [1, "FAILED"]


@pytest.mark.parametrize(("name", "says"), [("paper", "names 'paper'"), ("mlflow", "not installed")])
def test_trackers_that_are_not_there_are_refused(run, monkeypatch, name, says):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setenv("SAMPAN_TRACKERS", name)
    with pytest.raises(StageError, match=says):
        run()


def test_rows_become_flat_numbers():
    row = {"step": 3, "loss": 1.5, "held_out": {"tha_Thai": 2.0}, "samples": [{"text": "x"}], "ok": True}
    assert flat(row) == {"step": 3, "loss": 1.5, "held_out/tha_Thai": 2.0}


def test_flops_of_a_token_count_matrices_and_attention(tiny):
    from sampan.model.checkpoint import load_model
    from sampan.train.pace import line, peak_flops, token_flops

    model = load_model(tiny)
    blocks = sum(p.numel() for p in model.model.layers.parameters())
    head = model.get_output_embeddings().weight.numel()
    assert token_flops(model, 0) == pytest.approx(6 * (blocks + head))
    assert token_flops(model, 64) - token_flops(model, 0) == 6 * 2 * 32 * 64
    assert peak_flops("cpu", torch.float32) == 0
    told = line(7, 2.5, {"tokens_per_second": 1234.0, "seconds_left": 3720.0, "mfu": 0.5, "memory_bytes": 2**31})
    assert told == "step 7, loss 2.5000, 1,234 tokens/s, 1:02 h left, MFU 50.0%, 2.0 GiB"
