"""Single turns joined to artificial conversations: nothing lost, nothing mixed across languages."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.artifacts.conversations import Conversation
from sampan.synth import join_turns
from sampan.synth.join_turns import Params, joined


def row(number: int, language: str = "tha_Thai", turns: int = 1, system: bool = False) -> Conversation:
    messages = [{"role": "system", "content": "Be brief."}] if system else []
    for turn in range(turns):
        messages.append({"role": "user", "content": f"question {number}.{turn}"})
        messages.append({"role": "assistant", "content": f"answer {number}.{turn}"})
    return Conversation(str(number), messages, language, "s", ("MIT", "CC0-1.0")[number % 2])


@given(
    kinds=st.lists(st.tuples(st.sampled_from(["tha_Thai", "lao_Laoo"]), st.integers(1, 2), st.booleans()), max_size=40),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 3),
)
def test_every_turn_is_there_once_and_in_its_language(kinds, share, seed):
    rows = [row(number, *kind) for number, kind in enumerate(kinds)]
    out = list(joined(rows, Params(share=share, seed=seed, max_turns=3)))
    for language in ("tha_Thai", "lao_Laoo"):
        before = Counter(m["content"] for r in rows if r.language == language for m in r.messages)
        after = Counter(m["content"] for r in out if r.language == language for m in r.messages)
        before.pop("Be brief.", None)
        after.pop("Be brief.", None)
        assert before == after
    for each in out:
        roles = [message["role"] for message in each.messages]
        turns = roles[1:] if roles[0] == "system" else roles
        assert "system" not in turns
        assert turns == ["user", "assistant"] * (len(turns) // 2)
        assert len(turns) // 2 <= 3
    if not share:
        assert out == rows


def test_joined_rows_bear_all_licences_and_say_so():
    out = [each for each in joined([row(n) for n in range(20)], Params(share=1.0, seed=1)) if "joined" in each.meta]
    assert out
    mixed = [each for each in out if {int(i) % 2 for i in each.id.split("+")} == {0, 1}]
    assert all(each.license == "CC0-1.0 AND MIT" for each in mixed)
    assert all(each.meta["joined"] == len(each.id.split("+")) for each in out)


def test_memory_is_bounded_by_the_window(monkeypatch):
    """Conversations come out while rows are still read."""
    monkeypatch.setattr(join_turns, "_WINDOW", 4)
    read = []

    def rows():
        for number in range(50):
            read.append(number)
            yield row(number)

    first = next(joined(rows(), Params(share=1.0)))
    assert len(read) == 5
    assert first.meta["joined"] >= 2


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"max_turns": 1}])
def test_wrong_params_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        Params(**wrong)
