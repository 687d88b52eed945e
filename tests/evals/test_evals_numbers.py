"""Numbers as each language writes them, MATH's boxes, and options, on constructed answers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sampan.evals.mathematics import boxed, is_equal
from sampan.evals.numbers import answer_number, numbers
from sampan.evals.options import is_well_formed, m3exam_option, seaexam_option, shuffled, vmlu_option

NUMBERS = [
    ("eng_Latn", "She makes 9 * 2 = $18 every day.", "18"),
    ("eng_Latn", "It costs 1,234.50 dollars", "1234.5"),
    ("eng_Latn", "about 2.125 litres", "2.125"),
    ("eng_Latn", "2,125 litres", "2125"),
    ("eng_Latn", "#### 18\nThat took 5 steps", "18"),
    ("eng_Latn", "The answer is 7, not 9", "7"),
    ("eng_Latn", "The answer is:\n42", "42"),
    ("eng_Latn", "First the answer is 4. No: the answer is 6.", "6"),
    ("eng_Latn", "-5", "-5"),
    ("eng_Latn", "10-5", "5"),
    ("eng_Latn", "v1.2.3", None),
    ("eng_Latn", "none at all", None),
    ("eng_Latn", "", None),
    ("eng_Latn", "100%", "100"),
    ("eng_Latn", "1\u202f234\u202f567 people", "1234567"),
    ("ind_Latn", "totalnya 2.125 rupiah", "2125"),
    ("ind_Latn", "Rp1.234.567,89", "1234567.89"),
    ("ind_Latn", "0,5 liter", "0.5"),
    ("ind_Latn", "Jawaban: 18 butir dari 24", "18"),
    ("ind_Latn", "Jadi jawabannya 3,14", "3.14"),
    ("ind_Latn", "1,000,000 orang", "1000000"),
    ("ind_Latn", "1,234.5 orang", "1234.5"),
    ("ind_Latn", "12 500 rupiah", "12500"),
    ("vie_Latn", "Đáp án: 1 250 000 đồng", "1250000"),
    ("vie_Latn", "tổng cộng 2.125 đồng", "2125"),
    ("vie_Latn", "Câu trả lời là 1,5 kg", "1.5"),
    ("vie_Latn", "Vậy còn 18 quả trứng.", "18"),
    ("tha_Thai", "คำตอบคือ ๑๘ ดอลลาร์", "18"),
    ("tha_Thai", "รวม ๑,๒๕๐.๕๐ บาท", "1250.5"),
    ("tha_Thai", "คำตอบ: 70,000 ดอลลาร์ ใน 3 ปี", "70000"),
    ("tha_Thai", "เหลือ 18", "18"),
    ("zho_Hans", "答案是一百二十三。", "123"),
    ("zho_Hans", "共1.2万元", "12000"),
    ("zho_Hans", "答案：１８", "18"),
    ("zho_Hans", "两千零五", "2005"),
    ("zho_Hans", "三点一四", "3.14"),
    ("zho_Hans", "十八", "18"),
    ("zho_Hans", "三亿五千万", "350000000"),
    ("khm_Khmr", "ចម្លើយ ១៨", "18"),
    ("khm_Khmr", "សរុប ១.២៥០ រៀល", "1250"),
    ("lao_Laoo", "ຄຳຕອບ ໑໘", "18"),
    ("lao_Laoo", "ລວມ ໒.໐໐໐ ກີບ", "2000"),
    ("mya_Mymr", "အဖြေ ၁၈", "18"),
    ("mya_Mymr", "၁,၂၅၀.၅ ကျပ်", "1250.5"),
    ("tam_Taml", "மொத்தம் 12,34,567 ரூபாய்", "1234567"),
    ("tam_Taml", "பதில்: ௧௮", "18"),
    ("tgl_Latn", "Ang sagot ay 1,500 piso.", "1500"),
    ("msa_Latn", "Jawapan: RM2,125.00", "2125"),
]


@pytest.mark.parametrize(("language", "text", "value"), NUMBERS)
def test_evals_answer_number(language, text, value):
    assert answer_number(text, language) == (None if value is None else Decimal(value))


def test_evals_one_number_reads_differently_by_language():
    assert numbers("1.500", "ind_Latn") == [1500]
    assert numbers("1.500", "eng_Latn") == [Decimal("1.5")]
    assert numbers("3 and 4", "eng_Latn") == [3, 4]
    assert numbers("18 200", "eng_Latn") == [18, 200]


@pytest.mark.parametrize(
    ("output", "answer", "same"),
    [
        (r"so \boxed{\frac{1}{2}}", r"\dfrac12", True),
        (r"\boxed{1/2}", r"\frac{1}{2}", True),
        (r"\boxed{1,234}", "1234", True),
        (r"\boxed{0.5}", ".5", True),
        (r"\boxed{ \left( 1, 2 \right) }", "(1,2)", True),
        (r"\boxed{30^\circ}", "30", True),
        (r"\boxed{\text{even}}", r"\text{even}", True),
        (r"first \boxed{3}, then \boxed{4}", "4", True),
        (r"\boxed{\sqrt2}", r"\sqrt{2}", True),
        ("the answer is 12", "12", True),
        ("the answer is 12", r"\frac{12}{1}", False),
        (r"\boxed{3}", "4", False),
        (r"\boxed{{3}", "3", True),
        (r"\boxed{2x+1}", "1+2x", False),
        ("", "3", False),
    ],
)
def test_evals_latex(output, answer, same):
    assert is_equal(output, answer, "eng_Latn") is same


def test_evals_boxed_keeps_inner_braces():
    assert boxed(r"\boxed{\frac{a}{b}} done") == r"\frac{a}{b}"
    assert boxed(r"\boxed{open") is None


@pytest.mark.parametrize(
    ("output", "m3exam", "seaexam", "vmlu"),
    [
        ("A", "A", "A", "A"),
        (" B. because", "B", "B", "B"),
        ("(C) this", "C", "C", "("),
        ("(D", "D", "D", "("),
        ("The answer is B", "T", "B", "T"),
        ("Answer: C", "A", "A", "A"),
        ("\n\nE", "E", "E", "E"),
        ("", "", "", ""),
        ("   ", "", "", ""),
        ("1", "1", "", "1"),
        ("๓", "๓", "", "๓"),
        ("(๒) ข้อ", "๒", "", "("),
        ("b", "b", "", "b"),
        ("Đáp án: C", "Đ", "C", "Đ"),
        ("Jawaban: B", "J", "B", "J"),
        ("答案是D", "答", "D", "答"),
        ("F", "F", "", "F"),
        ("(", "", "", "("),
        ("**A**", "*", "A", "*"),
        ("`B`", "`", "B", "`"),
    ],
)
def test_evals_options_as_the_tests_read_them(output, m3exam, seaexam, vmlu):
    assert (m3exam_option(output), seaexam_option(output), vmlu_option(output)) == (m3exam, seaexam, vmlu)


def test_evals_option_is_well_formed():
    assert is_well_formed("D", list("ABCD"))
    assert not is_well_formed("E", list("ABCD"))
    assert not is_well_formed("", list("ABCD"))


def test_evals_options_shuffle_by_key():
    options = ["w", "x", "y", "z"]
    orders = set()
    for number in range(200):
        mixed, place = shuffled(options, 2, seed=1, key=f"q{number}")
        assert sorted(mixed) == options
        assert mixed[place] == "y"
        orders.add(tuple(mixed))
    assert (
        len(orders) == 24
    )  # 200 draws miss one of 24 orders with a chance of 24·(23/24)^200 = 0.005: fixed by the seed
    assert shuffled(options, 2, seed=1, key="q1") == shuffled(options, 2, seed=1, key="q1")
    assert any(shuffled(options, 2, seed=1, key=f"q{n}") != shuffled(options, 2, seed=2, key=f"q{n}") for n in range(9))
    with pytest.raises(ValueError, match="not the index"):
        shuffled(options, 4, seed=1, key="q")
