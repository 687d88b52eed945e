"""What ends an answer."""

from __future__ import annotations

import pytest

from sampan.model.generate import Decoding, generate
from sampan.model.stopping import end_ids, stop_test


def test_stop_strings_are_seen_across_tokens(loaded):
    _, tokenizer = loaded
    ended = stop_test(tokenizer, ["ดัง"])
    ids = tokenizer("aaa bbb ดัง", add_special_tokens=False)["input_ids"]
    assert [ended(ids[:n]) for n in range(1, len(ids) + 1)] == [False] * (len(ids) - 1) + [True]


@pytest.mark.parametrize(("named", "added"), [(None, []), (2, []), (7, [7]), ([2, 7, 9], [7, 9])])
def test_a_models_own_end_ids_count(loaded, monkeypatch, named, added):
    """Llama 3 writes <|eot_id|> at the end of a turn, which only generation_config.json names."""
    model, tokenizer = loaded
    monkeypatch.setattr(model.generation_config, "eos_token_id", named)
    assert end_ids(model, tokenizer) == [2, *added]


def test_every_prompt_ends_by_its_own_test(loaded):
    model, tokenizer = loaded
    ids = [tokenizer(text)["input_ids"] for text in ("the cat", "a", "ไป")]
    how = Decoding(max_new_tokens=20)
    free = generate(model, ids, how, stop_ids=[])
    tests = [stop_test(tokenizer, [tokenizer.decode(row[4:6])]) for row in free[:2]] + [stop_test(tokenizer, [])]
    ended = generate(model, ids, how, stop_ids=[], ended=tests)
    assert [len(row) <= 6 for row in ended] == [True, True, False]
    assert [free[n][: len(row)] for n, row in enumerate(ended)] == ended
