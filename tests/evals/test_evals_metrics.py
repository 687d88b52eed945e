"""Metrics over free answers: overlap, translation, refusals, loops and the language they are in."""

from __future__ import annotations

import importlib.util
import random

import pytest

from sampan.artifacts.items import Item
from sampan.core.errors import InputError
from sampan.evals import chrf
from sampan.evals.degeneration import is_degenerate, is_wrong_language
from sampan.evals.metrics import METRICS, measure
from sampan.evals.refusal import is_refusal, refusal_f1
from sampan.evals.rouge import rouge_l, sea_helm_mean, tokens
from sampan.evals.spans import exact, f1
from sampan.evals.task_file import METRIC_NAMES

SENTENCES = [
    ("The cat sat, on the mat.", "A cat sat on a mat."),
    ("", "x y"),
    ('"hello" world!', "hello (world)!"),
    ("สวัสดี ครับ ผม", "สวัสดีครับ"),
    ("a b c", "a b d."),
    ("我们去学校", "我们 去 学校。"),
]
# (chrF, chrF++) of each pair, from sacrebleu 2.6.0.
GOLDEN = [
    (42.0032, 44.2831),
    (0.0, 0.0),
    (44.675, 37.4598),
    (94.7267, 81.1943),
    (29.4613, 35.3535),
    (75.3715, 62.8096),
]


def item(number: int = 0, answer: str = "", language: str = "eng_Latn", **meta) -> Item:
    return Item(str(number), "t", "generate", language, f"?{number}", [], answer, "", meta)


def test_evals_chrf_is_sacrebleus():
    for (ours, gold), (plain, plus) in zip(SENTENCES, GOLDEN, strict=True):
        assert chrf.value(chrf.counts(ours, [gold], 0)) == pytest.approx(plain, abs=5e-5)  # golden has four decimals
        assert chrf.value(chrf.counts(ours, [gold], 2)) == pytest.approx(plus, abs=5e-5)


@pytest.mark.skipif(not importlib.util.find_spec("sacrebleu"), reason="sacrebleu is not installed")
def test_evals_chrf_equals_sacrebleu_on_made_text():
    from sacrebleu.metrics import CHRF

    draw = random.Random(5)
    outputs, gold = ([" ".join(draw.choices(["ab", "abc,", "ไป", "!", "x"], k=9)) for _ in range(60)] for _ in "ab")
    for words in (0, 2):
        rows = [chrf.counts(o, [g], words) for o, g in zip(outputs, gold, strict=True)]
        whole = CHRF(word_order=words).corpus_score(outputs, [gold]).score
        assert chrf.value(chrf.total(rows)) == pytest.approx(whole, abs=1e-9)


def test_evals_chrf_takes_the_best_reference():
    assert chrf.value(chrf.counts("a b", ["zzz", "a b"])) == 100


@pytest.mark.parametrize(
    ("language", "ours", "gold", "value"),
    [
        ("eng_Latn", "The Cat, sat", "the cat sat", 1.0),
        ("eng_Latn", "cat", "the cat sat", 0.5),
        ("eng_Latn", "", "cat", 0.0),
        ("eng_Latn", "cat cat", "cat", 2 / 3),
        ("vie_Latn", "308 điểm", "308", 2 / 3),
        ("tha_Thai", "ปลาทะเล", "ปลาทะเลกระดูกแข็ง", None),
        ("zho_Hans", "三次", "三次", 1.0),
    ],
)
def test_evals_span_f1(language, ours, gold, value):
    found = f1(ours, [gold, "no such thing"], language)
    assert 0 < found < 1 if value is None else found == pytest.approx(value)
    assert exact(gold, [gold], language)


def test_evals_rouge_tokens_are_sea_helms():
    """Cases read off SEA-HELM's tokenizer (pyonmttok, newmm and its Burmese rules) on the same texts."""
    assert tokens("Rp5.000₫ +5kg", "ind_Latn") == ["rp", "5", "000", "₫", "5", "kg"]
    assert tokens("日本カ①", "eng_Latn") == ["日", "本", "カ", "①"]
    assert tokens("a \u0301b", "eng_Latn") == ["a", "\uff050020\u0301", "b"]  # a mark on a blank
    assert tokens("a\u200bb\u0301", "eng_Latn") == ["ab\u0301"]
    assert tokens("แม่ไปตลาด ซื้อปลา", "tha_Thai") == ["แม่", "ไป", "ตลาด", " ", "ซื้อ", "ปลา"]
    assert tokens("ကျောင်းသား", "mya_Mymr") == ["ကျောင်း", "သား"]
    assert tokens("မြန်မာ ပြည်", "mya_Mymr") == ["မြန်", "မာ", "ပြည်"]
    assert tokens("", "tha_Thai") == []


def test_evals_rouge_l_by_hand():
    assert rouge_l("the cat sat", ["the dog sat"], "eng_Latn") == pytest.approx(2 / 3)
    assert rouge_l("a-b", ["a b"], "eng_Latn") == 1
    assert rouge_l("", ["a"], "eng_Latn") == 0
    assert rouge_l("sat cat", ["cat sat"], "eng_Latn") == 0.5
    assert tokens("我们去abc12", "zho_Hans") == ["我", "们", "去", "abc", "12"]
    assert len(tokens("ฉันไปโรงเรียน", "tha_Thai")) > 1
    # A bootstrap's median lies near the mean: within 4 standard errors of the mean of 100 values in 0..1.
    values = [n / 99 for n in range(100)]
    assert sea_helm_mean(values) == pytest.approx(0.5, abs=4 * 0.29 / 10)
    assert sea_helm_mean(values) == sea_helm_mean(values)


@pytest.mark.parametrize(
    ("language", "text", "refuses"),
    [
        ("eng_Latn", "I’m sorry, but I can’t help with that.", True),
        ("eng_Latn", "Sure! First you take", False),
        ("tha_Thai", "ขออภัยค่ะ ฉันไม่สามารถช่วยเรื่องนี้ได้", True),
        ("tha_Thai", "ได้เลย ขั้นแรก", False),
        ("vie_Latn", "Xin lỗi, tôi không thể giúp bạn.", True),
        ("ind_Latn", "Maaf, saya tidak bisa membantu.", True),
        ("zho_Hans", "抱歉，我不能协助。", True),
        ("tha_Thai", "I cannot assist with that.", True),
        ("eng_Latn", "x" * 400 + " I cannot", False),
        ("eng_Latn", "", False),
    ],
)
def test_evals_refusal(language, text, refuses):
    assert is_refusal(text, language) is refuses


def test_evals_refusal_f1():
    assert refusal_f1([True, True, False], [True, False, True]) == 0.5
    assert refusal_f1([True, False], [False, False]) == 0
    items = [item(n, "refuse" if n < 2 else "comply") for n in range(3)]
    (mark,) = measure(["refusal_f1"], items, ["I cannot do it", "ok", "I cannot either"])
    assert mark.value == 0.5
    with pytest.raises(InputError, match="neither refuse nor comply"):
        measure(["refusal_f1"], [item(1, "yes")], [""])


PROSE = (
    "The river rose in the night and nobody in the village slept. In the morning the boats were gone, and with them "
    "the nets, the lamps and the old engine that had belonged to my grandfather before the war."
)


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("", True),
        ("  \n", True),
        (PROSE, False),
        ("ok " * 40, True),
        (PROSE + " and so on" * 12, True),
        ("ไปโรงเรียน" * 20, True),
        ("ເດີນທາງ " * 20, True),
        ("No.", False),
        ("ha ha ha ha", False),
        ("1. a\n2. b\n3. c\n4. d\n5. e\n6. f\n7. g\n8. h\n9. i", False),
    ],
)
def test_evals_degenerate(text, bad):
    assert is_degenerate(text) is bad


@pytest.mark.parametrize(
    ("text", "language", "wrong"),
    [
        (PROSE, "eng_Latn", False),
        (PROSE, "tha_Thai", True),
        ("แม่น้ำเอ่อล้นในตอนกลางคืนและไม่มีใครได้นอน", "tha_Thai", False),
        ("Mereka pergi ke sekolah setiap hari bersama teman-teman", "msa_Latn", False),
        ("18", "tha_Thai", None),
    ],
)
def test_evals_wrong_language(text, language, wrong):
    assert is_wrong_language(text, language) is wrong


def test_evals_metric_names_are_those_of_task_files():
    assert set(METRIC_NAMES) == set(METRICS)
    with pytest.raises(InputError, match="Did you mean 'chrf'"):
        measure(["chrff"], [item()], [""])


def test_evals_values_average_to_the_mark():
    items = [item(n, "a b c d", cluster=str(n // 2)) for n in range(6)]
    outputs = ["a b c d", "a b", "x", "", "a b c", "d"]
    for mark in measure(["exact_match", "span", "rouge_l"], items, outputs):
        assert sum(mark.values) / len(mark.values) == pytest.approx(mark.value)
        assert len(mark.values) == mark.n == 6
    plus, plain = measure(["chrf"], items, outputs)
    assert plus.value == pytest.approx(chrf.value(chrf.total([chrf.counts(o, ["a b c d"]) for o in outputs])))
    assert plain.metric == "chrf"
    assert plus.stderr > 0


def test_evals_wrong_language_leaves_out_what_it_cannot_tell():
    (mark,) = measure(["wrong_language"], [item(1), item(2), item(3)], [PROSE, "18", "แม่น้ำเอ่อล้นในตอนกลางคืน"])
    assert (mark.value, mark.n, mark.values, mark.higher_is_better) == (0.5, 2, (0.0, None, 1.0), False)
    assert measure(["wrong_language"], [item(1)], ["18"]) == []


def test_evals_no_reference_is_said():
    with pytest.raises(InputError, match="no reference"):
        measure(["chrf"], [item()], ["x"])
