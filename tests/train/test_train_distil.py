"""Distillation: chunked values and gradients against plain ones, stored top-k against the whole, and the stage."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sampan.artifacts.conversations import Conversation, write_conversations
from sampan.core.errors import RecipeError, StageError
from sampan.core.identity import digest_tree
from sampan.train import logprobs
from sampan.train.distil import STAGE as DISTIL
from sampan.train.divergence import FullTeacher, Lesson, TopTeacher, lesson_losses, lumped
from sampan.train.objectives import OBJECTIVES
from sampan.train.packing import IGNORE, Piece, pack

KINDS = ("forward_kl", "reverse_kl", "jensen_shannon")


def make_model(seed: int, rows: int = 23, cap: float | None = None):
    """A model of one table of states and a head: only the losses are under test."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.nn.Parameter(torch.randn(23, 8, generator=generator))
    head = torch.nn.Parameter(torch.randn(rows, 8, generator=generator))
    base = lambda input_ids, **_: SimpleNamespace(last_hidden_state=states[input_ids])  # noqa: E731
    config = SimpleNamespace(final_logit_softcapping=cap)
    made = SimpleNamespace(base_model=base, config=config, states=states, head=head)
    made.get_output_embeddings = lambda: SimpleNamespace(weight=head)
    return made


def a_batch():
    ids = np.arange(40) * 7 % 23
    labels = np.append(ids[1:], IGNORE)
    labels[5:8] = IGNORE
    return pack([Piece(ids, labels)])


def plain(student, teacher, batch, kind, share, temperature, rows):
    """The same from whole [N, V] logits."""

    def logits(model):
        found = model.states[batch.ids_T[batch.index_N]] @ model.head.t()
        cap = model.config.final_logit_softcapping
        return found if cap is None else torch.tanh(found / cap) * cap

    ours, theirs = logits(student), logits(teacher).detach()
    sides = ((x[:, :rows] / temperature).log_softmax(-1) for x in (ours, theirs))
    nll = torch.nn.functional.cross_entropy(ours, batch.labels_N, reduction="none")
    return share * temperature**2 * OBJECTIVES.load(kind)(*sides) + (1 - share) * nll


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("share", "temperature", "cap"), [(1.0, 1.0, None), (0.6, 2.0, 3.0)])
@pytest.mark.parametrize("rows", [23, 20], ids=["equal", "padded-student"])
def test_chunks_equal_whole_logits(kind, share, temperature, cap, rows, monkeypatch):
    monkeypatch.setattr(logprobs, "_CHUNK_BYTES", 1)  # chunks of 16 tokens: three of them
    student, teacher, batch = make_model(0, cap=cap), make_model(1, rows, cap), a_batch()
    full = FullTeacher(teacher, batch, dtype=torch.float32, temperature=temperature)
    lesson = Lesson(OBJECTIVES.load(kind), share, temperature)
    losses, apart, nll = lesson_losses(student, batch, full, lesson, dtype=torch.float32)
    (losses.sum() * 0.25).backward()
    found = [student.states.grad.clone(), student.head.grad.clone()]
    student.states.grad = student.head.grad = None
    expected = plain(student, teacher, batch, kind, share, temperature, rows)
    (expected.sum() * 0.25).backward()
    # float32 sums over 23 words in another order
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(share * temperature**2 * apart + (1 - share) * nll, losses, rtol=1e-5, atol=1e-5)
    for one, other in zip(found, (student.states.grad, student.head.grad), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_all_words_stored_equal_the_whole_and_few_come_from_below(kind):
    """Lumping words together can only bring two distributions nearer (data processing)."""
    student, teacher, batch = make_model(0), make_model(1), a_batch()
    full = FullTeacher(teacher, batch, dtype=torch.float32, temperature=1.0)
    logprobs_NV = full.logprobs(slice(None), 23).detach()
    lesson = Lesson(OBJECTIVES.load(kind), 1.0, 1.0)
    whole = lesson_losses(student, batch, full, lesson, dtype=torch.float32)[1]
    before = torch.zeros_like(whole)
    for count in (2, 8, 22):
        top = logprobs_NV.topk(count, -1).indices
        stored = TopTeacher(top.int(), lumped(logprobs_NV, top))
        found = lesson_losses(student, batch, stored, lesson, dtype=torch.float32)[1]
        assert (found >= before - 1e-5).all()
        before = found
    torch.testing.assert_close(before, whole, rtol=1e-5, atol=1e-5)  # one word left over: nothing is lumped


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    model, batch = make_model(0), a_batch()
    for kind in KINDS:
        full = FullTeacher(copy.deepcopy(model), batch, dtype=torch.float32, temperature=1.5)
        losses, *_ = lesson_losses(model, batch, full, Lesson(OBJECTIVES.load(kind), 1.0, 1.5), dtype=torch.float32)
        losses.sum().backward()
        # rounding of logits of size 10 in float32
        assert losses.abs().max() < 1e-5
        assert model.head.grad.abs().max() < 1e-4
        model.head.grad = model.states.grad = None


@pytest.fixture(scope="module")
def teacher(tiny, tmp_path_factory, weights_of):
    """`tiny` with other weights, far from uniform."""
    import shutil

    folder = tmp_path_factory.mktemp("teacher") / "model"
    shutil.copytree(tiny, folder)
    generator = torch.Generator().manual_seed(3)
    weights = {k: v + 0.2 * torch.randn(v.shape, generator=generator) for k, v in weights_of(tiny).items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def chats(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distil-chats")
    words = ["the tin", "a thin hat", "in the tent"]
    write_conversations(
        folder,
        [
            Conversation(
                id=str(n),
                messages=[{"role": "user", "content": words[n % 3]}, {"role": "assistant", "content": words[n % 2]}],
            )
            for n in range(9)
        ],
    )
    return folder


VALUES = {"context_len": 48, "micro_batch_tokens": 128, "lr": 1e-2, "eps": 1e-8, "schedule": "constant"}


@pytest.mark.parametrize("top_k", [0, 16])
def test_the_stage_brings_the_student_to_the_teacher(tiny, teacher, chats, run_stage, top_k):
    given = {
        "model": ("checkpoint", [tiny]),
        "teacher": ("checkpoint", [teacher]),
        "conversations": ("conversations", [chats]),
    }
    metrics, out = run_stage(DISTIL, given, **VALUES, epochs=12, global_batch_tokens=100, top_k=top_k)
    rows = [json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()]
    assert rows[-1]["divergence"] < 0.5 * rows[0]["divergence"]
    assert metrics["conversations"] == 9
    assert rows[0]["loss"] == pytest.approx(rows[0]["divergence"], rel=1e-6)


def test_the_stage_takes_packed_documents_and_a_killed_store_is_filled_on(tiny, teacher, shards, run_stage):
    given = {"model": ("checkpoint", [tiny]), "teacher": ("checkpoint", [teacher]), "tokens": ("tokens", [shards])}
    values = {**VALUES, "context_len": 32, "num_tokens": 600, "global_batch_tokens": 200, "top_k": 8}
    expected = digest_tree(run_stage(DISTIL, given, "whole", **values)[1])
    steps = []

    def interrupt(done, total, unit):
        steps.append(done)
        if unit == "steps of the teacher" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(DISTIL, given, "broken", on_progress=interrupt, **values)
    assert digest_tree(run_stage(DISTIL, given, "broken", fresh_out=False, **values)[1]) == expected


def test_what_cannot_teach_is_refused(tiny, teacher, chats, shards, run_stage, tmp_path):
    import shutil

    both = {"conversations": ("conversations", [chats]), "tokens": ("tokens", [shards])}
    given = {"model": ("checkpoint", [tiny]), "teacher": ("checkpoint", [teacher])}
    for texts in ({}, both):
        with pytest.raises(RecipeError, match="either conversations or tokens"):
            run_stage(DISTIL, {**given, **texts}, f"run{len(texts)}", **VALUES)
    with pytest.raises(RecipeError, match="does not compare"):
        run_stage(DISTIL, {**given, "tokens": both["tokens"]}, "kind", divergence="dpo", **VALUES)
    foreign = tmp_path / "foreign"
    shutil.copytree(teacher, foreign)
    (foreign / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    with pytest.raises(StageError, match="another tokenizer"):
        run_stage(DISTIL, {**given, "teacher": ("checkpoint", [foreign]), **{"tokens": both["tokens"]}}, "f", **VALUES)


def test_the_length_of_tokens_is_told_in_tokens_and_planned_in_steps():
    given = {"model": ["checkpoint"], "teacher": ["checkpoint"], "tokens": ["tokens"]}
    with pytest.raises(RecipeError, match="epochs is for the input `conversations`"):
        DISTIL.check(DISTIL.params(epochs=2), given)
    facts = {"tokens": [{"tokens": 10_000}]}
    assert DISTIL.estimate(DISTIL.params(global_batch_tokens=1_000), facts)["steps"] == 10
