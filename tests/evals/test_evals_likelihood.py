"""Likelihood scoring against brute force: one full forward per token, no batching, no padding, no sharing."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampan.artifacts.items import Item
from sampan.core.errors import InputError
from sampan.evals.bits_per_byte import bits_per_byte, document_bits
from sampan.evals.likelihood import multiple_choice, preference
from sampan.model.chat import prompt_text
from sampan.model.encoding import encode_answer, encode_choices, encode_prompt
from sampan.model.scoring import continuations, text_nats

# float32 sums over different batch shapes differ in the last bits; logits here are of order 10.
TOLERANCE = 2e-4
TEXTS = ["the cab", "มานาน ฉันไมา", "a", "abc? 日本 the bc\nthe", "the " * 60, "naïve 😀"]


def by(model, batch_tokens: int = 2048):
    """How likely the model finds pairs."""
    return partial(continuations, model, max_batch_tokens=batch_tokens)


def brute_logprob(model, context: list[int], continuation: list[int]) -> float:
    total, ids = 0.0, list(context)
    for token in continuation:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1].double()
        total += (logits[token] - logits.logsumexp(-1)).item()
        ids.append(token)
    return total


def choice_item(prompt, choices, answer=0, **more) -> Item:
    return Item("1", "t", "multiple_choice", "eng_Latn", prompt, list(choices), str(answer), **more)


def test_evals_bits_match_brute_force(loaded):
    model, tokenizer = loaded
    for text, bits in zip(TEXTS, document_bits(by(model), tokenizer, TEXTS, context_len=1000), strict=True):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text  # the whole text is in the tokens that are predicted
        if len(ids) < 128:
            assert bits == pytest.approx(-brute_logprob(model, [1], ids) / math.log(2), rel=TOLERANCE)


def test_evals_bits_of_windows_add_up(loaded):
    """A text longer than the window is the sum of its windows, each seeing one token of the window before."""
    model, tokenizer = loaded
    text, step = "the cab มานาน " * 10, 15
    ids = [1, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    expected = 0.0
    for start in range(1, len(ids), step):
        expected -= brute_logprob(model, ids[start - 1 : start], ids[start : start + step])
    (bits,) = document_bits(by(model), tokenizer, [text], context_len=step + 1)
    assert bits == pytest.approx(expected / math.log(2), rel=TOLERANCE)


def test_evals_unknown_text_costs_eight_bits_a_byte(loaded):
    """A tokenizer that says <unk> must not make text cheap."""
    from transformers import PreTrainedTokenizerFast

    from sampan.model.sentencepiece_bpe import build_tokenizer

    model, _ = loaded
    plain = build_tokenizer(
        [("<unk>", 0.0), ("<s>", 0.0), ("a", -1.0)], unk="<unk>", specials=["<unk>", "<s>"], prefix_space=False
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", unk_token="<unk>")
    with_unknown, without = document_bits(by(model), tokenizer, ["aก", "a"], context_len=16)
    assert with_unknown - without >= 8 * len("ก".encode())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=8), st.integers(1, 400))
def test_evals_bits_do_not_depend_on_the_batch(loaded, texts, batch_tokens):
    model, tokenizer = loaded
    together = document_bits(by(model, batch_tokens), tokenizer, texts, context_len=64)
    alone = [document_bits(by(model), tokenizer, [text], context_len=64)[0] for text in texts]
    assert together == pytest.approx(alone, rel=TOLERANCE)


def test_evals_bits_per_byte_is_total_over_total():
    mark = bits_per_byte([8.0, 2.0], [2, 4])
    assert mark.value == 10 / 6
    assert not mark.higher_is_better
    assert bits_per_byte([3.0], [2]).stderr is None
    # By hand: R = 10/6, residuals 8-10/3 and 2-20/3, variance 2/1·(2·(14/3)²)/36.
    assert mark.stderr == pytest.approx(math.sqrt(2 * 2 * (14 / 3) ** 2 / 36))
    assert bits_per_byte([4.0, 8.0, 2.0], [2, 4, 1]).stderr == 0.0  # every document has the same ratio


def test_evals_long_continuation_is_scored_whole(loaded):
    model, _ = loaded
    ids = [(7 * n) % 300 + 3 for n in range(300)]  # the window is 128
    (whole,) = continuations(model, [([1], ids)])
    pieces = [ids[start : start + 127] for start in range(0, 300, 127)]
    before = [[1], pieces[0][-1:], pieces[1][-1:]]
    expected = sum(brute_logprob(model, b, p) for b, p in zip(before, pieces, strict=True))
    assert whole.tokens == 300
    assert whole.logprob == pytest.approx(expected, rel=TOLERANCE)


def test_evals_long_context_loses_its_beginning(loaded):
    model, _ = loaded
    ids = [(7 * n) % 300 + 3 for n in range(300)]
    (got,) = continuations(model, [(ids, [5, 9])])
    assert got.logprob == pytest.approx(brute_logprob(model, ids[-127:], [5, 9]), rel=TOLERANCE)


def test_evals_choices_that_share_a_row_keep_their_own_values(loaded):
    model, _ = loaded
    context = [1, 20, 30, 40]
    pairs = [(context, [5]), (context, [6]), (context, [6, 7]), (context, [6, 8]), (context[:2], [30, 40, 5])]
    greedy = []
    for _ in range(2):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([context + greedy])).logits[0, -1]
        greedy.append(int(logits.argmax()))
    got = continuations(model, [*pairs, (context, greedy), (context, [greedy[0], greedy[1] + 1])])
    for (before, after), value in zip(pairs, got, strict=False):
        assert value.logprob == pytest.approx(brute_logprob(model, before, after), rel=TOLERANCE)
        assert value.tokens == len(after)
    assert [value.greedy for value in got[-2:]] == [True, False]


def test_evals_text_nats_of_empty_documents(loaded):
    model, _ = loaded
    assert text_nats(by(model), [[1], [1]], context_len=8) == [0.0, 0.0]


def test_evals_multiple_choice_matches_brute_force(loaded):
    model, tokenizer = loaded
    items = []
    for n in range(12):
        prompt = ["the cab ", "มานา", "a: b\n", "ab"][n % 4] * (n + 1)
        items.append(choice_item(prompt, ["the bc", "c", "นาน ฉัน", "d, bc"], n % 4))
    right, right_by_bytes = [], []
    for item in items:
        logprobs = []
        for context, continuation in encode_choices(tokenizer, item.prompt, item.choices):
            logprobs.append(brute_logprob(model, context, continuation))
        by_bytes = [value / len(c.encode()) for value, c in zip(logprobs, item.choices, strict=True)]
        right.append(max(range(4), key=logprobs.__getitem__) == int(item.answer))
        right_by_bytes.append(max(range(4), key=by_bytes.__getitem__) == int(item.answer))
    for batch_tokens in (1, 100, 8192):
        acc, acc_bytes = multiple_choice(by(model, batch_tokens), tokenizer, items).marks
        assert (acc.metric, acc.value, acc.n) == ("acc", sum(right) / 12, 12)
        assert (acc_bytes.metric, acc_bytes.value) == ("acc_bytes", sum(right_by_bytes) / 12)


def test_evals_right_and_wrong_keys_give_all_and_nothing(loaded):
    """An answer key made from the model's own likelihoods scores 1, the key turned round scores 0."""
    model, tokenizer = loaded
    best, worst = [], []
    for n in range(8):
        item = choice_item("the " * (n + 1), ["bc", "ca"])
        scored = [brute_logprob(model, *pair) for pair in encode_choices(tokenizer, item.prompt, item.choices)]
        top = int(scored[1] > scored[0])
        best.append(choice_item(item.prompt, item.choices, top))
        worst.append(choice_item(item.prompt, item.choices, 1 - top))
    assert [m.value for m in multiple_choice(by(model), tokenizer, best).marks] == [1.0, 1.0]
    assert [m.value for m in multiple_choice(by(model), tokenizer, worst).marks] == [0.0, 0.0]
    assert multiple_choice(by(model), tokenizer, best).marks[0].stderr == 0.0


def test_evals_blanks_at_the_end_of_the_prompt_belong_to_the_choice(loaded):
    _, tokenizer = loaded
    spaced = encode_choices(tokenizer, "the: ", ["a", "b"])
    assert spaced == encode_choices(tokenizer, "the:", [" a", " b"])
    assert [tokenizer.decode(after) for _, after in spaced] == [" a", " b"]
    assert all(len(after) == 1 for _, after in spaced)  # "▁a" is one piece, so the blank must not be split off


def test_evals_straddling_token_moves_every_choice(loaded):
    """`b` + `c` is one piece across the border; then `b` is predicted for the other choice too."""
    _, tokenizer = loaded
    pairs = encode_choices(tokenizer, "db", ["c", "d"])
    assert len({tuple(before) for before, _ in pairs}) == 1
    assert [tokenizer.decode(before + after) for before, after in pairs] == ["<s>dbc", "<s>dbd"]
    assert [tokenizer.decode(after) for _, after in pairs] == ["bc", "bd"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ab c: กามา", max_size=12), st.lists(st.text("abc มาน", min_size=1).filter(str.strip), min_size=1))
def test_evals_choices_are_predicted_whole(loaded, prompt, choices):
    _, tokenizer = loaded
    for choice, (before, after) in zip(choices, encode_choices(tokenizer, prompt, choices), strict=True):
        assert before[0] == 1
        assert tokenizer.decode((before + after)[1:]) == prompt + choice
        assert tokenizer.decode(after).endswith(choice.lstrip())


def test_evals_empty_choice_is_an_error(loaded):
    with pytest.raises(InputError, match="a choice is empty"):
        encode_choices(loaded[1], "the", ["a", ""])


def test_evals_messages_go_through_the_template(loaded):
    _, tokenizer = loaded
    messages = [{"role": "user", "content": "the cab?"}]
    (before, after), _ = encode_choices(tokenizer, messages, ["A", "B"])
    assert tokenizer.decode(before) == prompt_text(tokenizer, messages)
    assert before.count(1) == 1  # one BOS
    assert tokenizer.decode(after) == "A"
    before, after = encode_answer(tokenizer, messages, "the cab")
    assert before == encode_prompt(tokenizer, messages)
    assert tokenizer.decode(after) == "the cab</s>"


def test_evals_messages_without_a_template_are_plain_text(loaded, tiny, tmp_path):
    import shutil

    from sampan.model.tokenizer import load_tokenizer

    shutil.copytree(tiny, tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    base = load_tokenizer(tmp_path / "base")
    messages = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    assert base.decode(encode_prompt(base, messages)) == "<s>a\nb\n"
    before, after = encode_answer(base, messages, "the")
    assert base.decode(before + after) == "<s>a\nb\nthe"


def test_evals_preference_is_mean_logprob_per_token(loaded):
    model, tokenizer = loaded
    messages = [{"role": "user", "content": "the?"}]
    items, expected = [], []
    for n in range(6):
        prompt = messages if n % 2 else "the? "
        answers = ["a" * (n + 1), "the bc " * (n + 1) + "d"]
        items.append(Item(str(n), "p", "preference", "eng_Latn", prompt, answers))
        means = []
        for answer in answers:
            before, after = encode_answer(tokenizer, prompt, answer)
            means.append(brute_logprob(model, before, after) / len(after))
        expected.append(means[0] > means[1])
    (mark,) = preference(by(model), tokenizer, items).marks
    assert (mark.metric, mark.value, mark.n) == ("preference_acc", sum(expected) / 6, 6)
    swapped = [Item(i.id, i.task, i.type, i.language, i.prompt, i.choices[::-1]) for i in items]
    assert preference(by(model), tokenizer, swapped).marks[0].value == pytest.approx(1 - mark.value)
    same = [Item("s", "p", "preference", "eng_Latn", "the", ["a", "a"])]
    assert preference(by(model), tokenizer, same).marks[0].value == 0.0  # a tie is not right
