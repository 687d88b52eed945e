"""What supervised tuning trains: the chosen turns' words and their ends and nothing else; and it learns them."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampan.artifacts.conversations import Conversation, Judged, Preference, write_conversations
from sampan.model.chat import TEMPLATES
from sampan.model.tokenizer import load_tokenizer
from sampan.train.dialogues import judged_pieces, pair_pieces
from sampan.train.packing import IGNORE
from sampan.train.rendered import open_rendered
from sampan.train.sft import STAGE as SFT

WORDS = st.text(st.sampled_from("abz thein  กขค\nไป(<"), min_size=1, max_size=12)
TURNS = st.lists(st.tuples(WORDS, WORDS, st.sampled_from([None, True, False])), min_size=1, max_size=4)
TRAINED = {
    "seallm-v1": " {} </s> ",
    "seallm-v2": "{}</s>",
    "seallm-v2.5": "{}</s>\n",
    "gemma": "{}<end_of_turn>\n",
    "chatml": "{}<|im_end|>\n",
}
"""What of an answer is trained, by template."""


def conversation(turns) -> Conversation:
    messages = [{"role": "system", "content": "be kind"}]
    for asked, answered, train in turns:
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": answered, **({} if train is None else {"train": train})})
    return Conversation(id="one", messages=messages)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(turns=TURNS, loss_on=st.sampled_from(["all", "last", "none"]), template=st.sampled_from(sorted(TEMPLATES)))
def test_labels_are_the_chosen_turns_and_nothing_else(tiny, turns, loss_on, template):
    tokenizer = load_tokenizer(tiny)
    tokenizer.chat_template = TEMPLATES[template]
    default = {"all": [True] * len(turns), "last": [False] * (len(turns) - 1) + [True], "none": [False] * len(turns)}
    chosen = [d if train is None else train for d, (*_, train) in zip(default[loss_on], turns, strict=True)]
    expected = [TRAINED[template].format(answer) for (_, answer, _), keep in zip(turns, chosen, strict=True) if keep]
    row = conversation(turns)
    if not expected:
        with pytest.raises(Exception, match="no token of these 1 conversations"):
            rendered(tokenizer, row, loss_on)
        return
    ((piece,),) = rendered(tokenizer, row, loss_on)
    assert (piece.labels[:-1] == IGNORE).sum() + (piece.labels[:-1] == piece.ids[1:]).sum() == len(piece.ids) - 1
    said = [int(i) for i in piece.labels if i != IGNORE]
    text = tokenizer.decode(said, clean_up_tokenization_spaces=False)
    # a token that straddles the border between a prompt and an answer is not trained, so a first blank may be missing
    assert squeezed(text) == squeezed("".join(expected))


def rendered(tokenizer, row, loss_on):
    with TemporaryDirectory() as state:
        limits = {"context_len": 4096, "loss_on": loss_on, "tell": lambda *told: None}
        return list(open_rendered(Path(state), lambda licenses: [row], tokenizer, **limits))


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_of_a_preference_the_answer_alone_is_trained(tiny):
    """Whatever turns of the prompt say of themselves: it is for fine-tuning."""
    tokenizer = load_tokenizer(tiny)
    turns = [{"role": role, "content": word} for role, word in (("user", "the"), ("assistant", "tin"), ("user", "a"))]
    told = [{**turn, "train": True} if turn["role"] == "assistant" else turn for turn in turns]
    plain, marked = (
        pair_pieces(tokenizer, [Preference(id="n", prompt=prompt, chosen="in", rejected="hat")], context_len=64)[0][0]
        for prompt in (turns, told)
    )
    assert all((one.labels == other.labels).all() for one, other in zip(plain, marked, strict=True))
    rows = [Judged(id="n", prompt=told, answer="in", desirable=good) for good in (True, False)]
    (judged, _), *_ = judged_pieces(tokenizer, rows, context_len=64)
    assert (judged.labels == plain[0].labels).all()
    assert tokenizer.decode([i for i in judged.labels if i != IGNORE]) == "in</s>"


def test_32_short_conversations_are_learnt_by_heart(tiny, run_stage, tmp_path):
    draw = random.Random(0)
    words = ["the", "tin", "hat", "in", "a", "thin", "ten", "ant"]
    rows = [
        Conversation(
            id=str(n),
            messages=[
                {"role": "user", "content": f"{words[n % 8]} {words[n // 8]}"},
                {"role": "assistant", "content": " ".join(draw.choices(words, k=2))},
            ],
        )
        for n in range(32)
    ]
    folder = tmp_path / "chats"
    folder.mkdir()
    write_conversations(folder, rows)
    given_ = {"model": ("checkpoint", [tiny]), "conversations": ("conversations", [folder])}
    values = {"lr": 1e-2, "eps": 1e-8, "context_len": 64, "micro_batch_tokens": 2048, "global_batch_tokens": 2048}
    metrics, _ = run_stage(SFT, given_, **values, epochs=200, weight_decay=0.0)
    assert metrics["conversations"] == 32
    assert metrics["loss_first"] > 4
    # chance among 8 words would be 2.1 nats a word
    assert metrics["loss_last"] < 0.1
