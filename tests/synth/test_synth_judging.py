"""Verdicts with scripted judges: what theory says about position bias, and how the judge is asked."""

from __future__ import annotations

import random

import pytest

from sampan.synth.answer_filters import Answer, refuse, refuse_pair
from sampan.synth.judging import Phrasing, judge_pairs, model_judge, phrasings
from sampan.synth.self_preference import CRITERIA, STAGE, TEMPLATE

PHRASING = Phrasing("{question}|{answer_a}|{answer_b}", "", ("A", "B"))


def parts(messages) -> list[str]:
    return messages[0]["content"].split("|")


def scripted(choose):
    """A judge from a function (question, first, second) → margin for the answer shown first."""

    def judge(asked):
        return [(choose(*parts(messages)), 0.0) for messages in asked]

    return judge


def ask(judge, count: int):
    prompt = [{"role": "user", "content": "q"}]
    return judge_pairs(judge, [(PHRASING, prompt, f"{n:05d}", f"{count - n:05d}x") for n in range(count)])


def test_synth_consistent_judge_drops_nothing():
    verdicts = ask(scripted(lambda question, first, second: 1.0 if first > second else -1.0), 500)
    for n, verdict in enumerate(verdicts):
        assert verdict.reason == ""
        assert verdict.winner == int(f"{n:05d}" < f"{500 - n:05d}x")
    assert sum(v.first_position for v in verdicts) == 500  # each winner is shown first exactly once


def test_synth_position_bias_drops_its_share():
    """A judge that with probability b says `first` unread, and else judges rightly, contradicts itself exactly when
    it goes unread while the worse answer stands first: probability b for a pair."""
    draw, count = random.Random(0), 4000
    for bias in (0.0, 0.1, 0.4, 1.0):

        def choose(question, first, second, bias=bias):
            return 1.0 if draw.random() < bias or first > second else -1.0

        verdicts = ask(scripted(choose), count)
        dropped = sum(v.winner is None for v in verdicts) / count
        assert {v.reason for v in verdicts} <= {"", "inconsistent"}
        # Four standard errors of a share of 4000.
        assert dropped == pytest.approx(bias, abs=4 * (bias * (1 - bias) / count) ** 0.5)
        # Of the two times, the first place wins once when consistent and twice when not.
        first = sum(v.first_position for v in verdicts) / (2 * count)
        assert first == pytest.approx((1 + dropped) / 2)
        for n, verdict in enumerate(verdicts):  # bias never turns a verdict round, it only costs pairs
            if verdict.winner is not None:
                assert verdict.winner == int(f"{n:05d}" < f"{count - n:05d}x")


def test_synth_additive_bias_drops_close_pairs():
    """Log-odds = quality difference + bias: consistent exactly where the difference exceeds the bias."""

    def choose(question, first, second):
        return (int(first[:5]) - int(second[:5])) + 51.0

    verdicts = ask(scripted(choose), 200)
    for n, verdict in enumerate(verdicts):
        gap = n - (200 - n)
        assert (verdict.winner is None) == (abs(gap) <= 51)
        if verdict.winner is not None:
            assert verdict.winner == int(gap < 0)


def test_synth_equal_odds_are_a_tie():
    (verdict,) = ask(scripted(lambda *_: 0.0), 1)
    assert (verdict.winner, verdict.reason, verdict.asked) == (None, "tie", True)


def test_synth_question_that_does_not_fit_is_not_a_verdict():
    (verdict,) = ask(lambda asked: [None for _ in asked], 1)
    assert (verdict.winner, verdict.reason, verdict.asked) == (None, "judge_window", False)


def test_synth_phrasing_fills_once_and_by_language():
    phrasing = phrasings(TEMPLATE, CRITERIA, ("A", "B"), {"tha_Thai": {"criteria": "เกณฑ์"}})
    prompt = [{"role": "user", "content": "what is {answer_b}?"}]
    (message,) = phrasing("tha_Thai").ask(prompt, "{question}", "two")
    assert message["role"] == "user"
    assert message["content"].startswith("เกณฑ์\n\n[Question]\nwhat is {answer_b}?\n\n[Answer A]\n{question}\n")
    assert CRITERIA in phrasing("lao_Laoo").ask(prompt, "1", "2")[0]["content"]
    dialogue = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, *prompt]
    assert "User: a\n\nAssistant: b\n\nUser: what" in phrasing("").ask(dialogue, "1", "2")[0]["content"]


def test_synth_model_judge_compares_the_labels(tiny):
    import torch

    from sampan.model.chat import prompt_ids
    from sampan.model.checkpoint import load_model
    from sampan.model.tokenizer import load_tokenizer

    model, tokenizer = load_model(tiny), load_tokenizer(tiny)
    asked = [[{"role": "user", "content": f"the {n} cab"}] for n in range(5)]
    asked.insert(2, [{"role": "user", "content": "the " * 200}])  # longer than the window of 128
    got = model_judge(model, tokenizer, ("A", "B"))(asked)
    assert got[2] is None
    label = [tokenizer.convert_tokens_to_ids(name) for name in "AB"]
    for messages, value in zip(asked, got, strict=True):
        if value is not None:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt_ids(tokenizer, messages)])).logits[0, -1]
            expected = logits.log_softmax(-1)[label].tolist()
            # float32 sums over different batch shapes
            assert value == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize(
    ("text", "ended", "language", "reason"),
    [
        ("  \n", True, "tha_Thai", "empty"),
        ("ไม่จบ", False, "tha_Thai", "not_ended"),
        ("In English", True, "tha_Thai", "wrong_script"),
        ("ພາສາລາວ", True, "tha_Thai", "wrong_script"),
        ("ภาษาไทย", True, "lao_Laoo", "wrong_script"),
        ("ဟုတ်ကဲ့", True, "eng_Latn", "wrong_script"),
        ("ใช้คำสั่ง pip install ครับผม ลองดู", True, "tha_Thai", ""),
        ("1 + 1 = 2", True, "tha_Thai", ""),
        ("English", True, "", ""),
        # one answer per language that must be kept
        ("สวัสดีครับ", True, "tha_Thai", ""),
        ("ສະບາຍດີ", True, "lao_Laoo", ""),
        ("សួស្តី", True, "khm_Khmr", ""),
        ("မင်္ဂလာပါ", True, "mya_Mymr", ""),
        ("வணக்கம்", True, "tam_Taml", ""),
        ("Xin chào các bạn", True, "vie_Latn", ""),
        ("Selamat pagi", True, "ind_Latn", ""),
        ("Magandang umaga", True, "tgl_Latn", ""),
        ("你好，世界", True, "zho_Hans", ""),
    ],
)
def test_synth_answer_filter(text, ended, language, reason):
    assert refuse(Answer(text, ended), language, min_script_share=0.5) == reason


def test_synth_pair_filter():
    good, other = Answer("ใช่", True), Answer("ไม่", True)
    assert refuse_pair(good, other, "tha_Thai", min_script_share=0.5) == ""
    assert refuse_pair(good, Answer("ใช่ ", True), "tha_Thai", min_script_share=0.5) == "identical"
    assert refuse_pair(good, Answer("", True), "tha_Thai", min_script_share=0.5) == "empty"
    assert refuse_pair(good, Answer("yes", True), "tha_Thai", min_script_share=None) == ""


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"temperature": 0}, "above 0"),
        ({"top_p": 0}, "top_p"),
        ({"verdict_labels": ["A", "A"]}, "two different"),
        ({"judge_template": "{question} {answer_a}"}, "{answer_b}"),
        ({"by_language": {"tha_Thai": {"judge_template": "{question}"}}}, "{answer_a}"),
        ({"by_language": {"tha_Thai": {"critera": "x"}}}, "Did you mean 'criteria'"),
        ({"by_language": {"tha_Tahi": {"criteria": "x"}}}, "Did you mean 'tha_Thai'"),
        ({"by_language": {"th": {"criteria": "x"}, "tha_Thai": {}}}, "tha_Thai twice"),
        ({"temprature": 1}, "Did you mean 'temperature'"),
    ],
)
def test_synth_bad_params(values, says):
    from sampan.core.errors import RecipeError
    from sampan.core.params import parse_params

    with pytest.raises(RecipeError) as error:
        parse_params(STAGE.params, values, where="here")
    assert says in str(error.value)


def test_synth_phrasings_are_found_by_any_spelling_of_a_language():
    given = STAGE.params(by_language={"th": {"criteria": "x"}})
    assert given == STAGE.params(by_language={"tha_Thai": {"criteria": "x"}})
    find = phrasings(given.judge_template, given.criteria, given.verdict_labels, given.by_language)
    assert find("tha_Thai").criteria == "x"


def test_synth_defaults_leave_the_key_empty():
    from sampan.core.params import non_default, parse_params

    assert non_default(parse_params(STAGE.params, {}, where="")) == {}
