"""What M3Exam, SeaExam, VMLU and GSM8K read out of an answer: tables worked out by hand from their published rules.

M3Exam: the first character, or the second after `(`. SeaExam: the first capital A to E anywhere, also inside a word.
VMLU: the first character that is no blank. GSM8K: the number after the last "answer" or `####`, else the last number,
as the language writes numbers, in the digits of any script.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from sampan.artifacts.items import Item
from sampan.evals.metrics import measure
from sampan.evals.numbers import answer_number
from sampan.evals.options import m3exam_option, seaexam_option, vmlu_option

# (language, response, M3Exam, SeaExam, VMLU)
OPTIONS = [
    ("eng_Latn", "A", "A", "A", "A"),
    ("eng_Latn", " B", "B", "B", "B"),
    ("eng_Latn", "C.", "C", "C", "C"),
    ("eng_Latn", "(D)", "D", "D", "("),
    ("eng_Latn", "(2) firing on Fort Sumter", "2", "", "("),
    ("eng_Latn", "2", "2", "", "2"),
    ("eng_Latn", "3) because", "3", "", "3"),
    ("eng_Latn", "E\n\nExplanation: A is wrong", "E", "E", "E"),
    ("eng_Latn", "The correct option is C.", "T", "C", "T"),
    ("eng_Latn", "Correct answer: B", "C", "C", "C"),
    ("eng_Latn", "Based on the text, D", "B", "B", "B"),
    ("eng_Latn", "Option B", "O", "B", "O"),
    ("eng_Latn", "option b", "o", "", "o"),
    ("eng_Latn", "**D**", "*", "D", "*"),
    ("eng_Latn", "\\boxed{C}", "\\", "C", "\\"),
    ("eng_Latn", "[A]", "[", "A", "["),
    ("eng_Latn", "I do not know", "I", "", "I"),
    ("eng_Latn", "None of these", "N", "", "N"),
    ("eng_Latn", "Both A and B", "B", "B", "B"),
    ("eng_Latn", "A or B", "A", "A", "A"),
    ("eng_Latn", "F", "F", "", "F"),
    ("eng_Latn", "", "", "", ""),
    ("eng_Latn", " \n\t", "", "", ""),
    ("eng_Latn", "(", "", "", "("),
    ("eng_Latn", "()", ")", "", "("),
    ("eng_Latn", "( A )", " ", "A", "("),
    ("ind_Latn", "B. Jakarta", "B", "B", "B"),
    ("ind_Latn", "Jawaban: C", "J", "C", "J"),
    ("ind_Latn", "Jawabannya adalah D.", "J", "D", "J"),
    ("ind_Latn", "Pilihan yang benar: A", "P", "A", "P"),
    ("ind_Latn", "Benar", "B", "B", "B"),
    ("ind_Latn", "Dua", "D", "D", "D"),
    ("ind_Latn", "d. empat", "d", "", "d"),
    ("ind_Latn", "(c)", "c", "", "("),
    ("ind_Latn", "Saya tidak tahu", "S", "", "S"),
    ("ind_Latn", "\nA", "A", "A", "A"),
    ("vie_Latn", "D. bốn", "D", "D", "D"),
    ("vie_Latn", "Đáp án: B", "Đ", "B", "Đ"),
    ("vie_Latn", "đáp án là B", "đ", "B", "đ"),
    ("vie_Latn", "Câu trả lời: A", "C", "C", "C"),
    ("vie_Latn", "Đ", "Đ", "", "Đ"),
    ("vie_Latn", "Chọn D", "C", "C", "C"),
    ("vie_Latn", "Phương án đúng là E", "P", "E", "P"),
    ("vie_Latn", "(B) hai", "B", "B", "("),
    ("vie_Latn", "b", "b", "", "b"),
    ("vie_Latn", "Không biết", "K", "", "K"),
    ("vie_Latn", " C", "C", "C", "C"),
    ("vie_Latn", "Ă", "Ă", "", "Ă"),
    ("tha_Thai", "(1)", "1", "", "("),
    ("tha_Thai", "(๓) สาม", "๓", "", "("),
    ("tha_Thai", "๒", "๒", "", "๒"),
    ("tha_Thai", "2", "2", "", "2"),
    ("tha_Thai", "ก", "ก", "", "ก"),
    ("tha_Thai", "(ข) ถูก", "ข", "", "("),
    ("tha_Thai", "ข้อ ค", "ข", "", "ข"),
    ("tha_Thai", "คำตอบ: 4", "ค", "", "ค"),
    ("tha_Thai", "คำตอบคือ D", "ค", "D", "ค"),
    ("tha_Thai", "ตัวเลือก B ถูกต้อง", "ต", "B", "ต"),
    ("tha_Thai", "ไม่ทราบ", "ไ", "", "ไ"),
    ("zho_Hans", "A", "A", "A", "A"),
    ("zho_Hans", "答案：B", "答", "B", "答"),
    ("zho_Hans", "选C", "选", "C", "选"),
    ("zho_Hans", "（D）", "（", "D", "（"),
    ("zho_Hans", "(D)", "D", "D", "("),
    ("zho_Hans", "Ａ", "Ａ", "", "Ａ"),
    ("zho_Hans", "甲", "甲", "", "甲"),
    ("zho_Hans", "④", "④", "", "④"),
    ("khm_Khmr", "ក", "ក", "", "ក"),
    ("khm_Khmr", "(២)", "២", "", "("),
    ("lao_Laoo", "ຂ. ສອງ", "ຂ", "", "ຂ"),
    ("lao_Laoo", "(໓)", "໓", "", "("),
    ("mya_Mymr", "ခ", "ခ", "", "ခ"),
    ("mya_Mymr", "(၄)", "၄", "", "("),
]

# (language, worked answer, its number)
NUMBERS = [
    ("eng_Latn", "16 - 3 - 4 = 9 eggs. 9 * 2 = $18.\n#### 18", "18"),
    ("eng_Latn", "#### 1,080", "1080"),
    ("eng_Latn", "#### -3", "-3"),
    ("eng_Latn", "#### $2.50", "2.5"),
    ("eng_Latn", "The answer is 42.", "42"),
    ("eng_Latn", "The final answer: 42 apples out of 50", "42"),
    ("eng_Latn", "So she has 12 left, that is 3 dozen... I mean 1 dozen", "1"),
    ("eng_Latn", "Answer: 3/4", "3"),
    ("eng_Latn", "It takes 2.5 hours", "2.5"),
    ("eng_Latn", "12,345,678", "12345678"),
    ("eng_Latn", "about 50%", "50"),
    ("eng_Latn", "$70,000", "70000"),
    ("eng_Latn", "Step 1: 5. Step 2: 10.", "10"),
    ("eng_Latn", "x = 7.", "7"),
    ("eng_Latn", "−12", "-12"),
    ("eng_Latn", "3-2", "2"),
    ("eng_Latn", "no idea", None),
    ("eng_Latn", "", None),
    ("eng_Latn", "1.2.3", None),
    ("eng_Latn", "0.0", "0"),
    ("ind_Latn", "Jadi jawabannya adalah 18.", "18"),
    ("ind_Latn", "Jawaban: 1.080", "1080"),
    ("ind_Latn", "Jawaban: 2,5 jam", "2.5"),
    ("ind_Latn", "Totalnya Rp70.000,00", "70000"),
    ("ind_Latn", "Rp12.345.678", "12345678"),
    ("ind_Latn", "12 345 678 rupiah", "12345678"),
    ("ind_Latn", "#### 18", "18"),
    ("ind_Latn", "Langkah 1: 5 + 6 = 11", "11"),
    ("ind_Latn", "tidak tahu", None),
    ("ind_Latn", "1,000,000", "1000000"),
    ("vie_Latn", "Đáp số: 18 quả", "18"),
    ("vie_Latn", "Đáp án là 1.080", "1080"),
    ("vie_Latn", "Câu trả lời: 2,5", "2.5"),
    ("vie_Latn", "Vậy có tất cả 70.000 đồng", "70000"),
    ("vie_Latn", "Bước 1: 5. Bước 2: 10.", "10"),
    ("vie_Latn", "The answer is 7", "7"),
    ("vie_Latn", "1.234.567,5", "1234567.5"),
    ("vie_Latn", "không biết", None),
    ("tha_Thai", "คำตอบ: 18", "18"),
    ("tha_Thai", "คำตอบคือ ๑,๐๘๐ บาท", "1080"),
    ("tha_Thai", "ดังนั้นได้ ๒.๕ ชั่วโมง", "2.5"),
    ("tha_Thai", "รวมทั้งหมด ๗๐,๐๐๐ บาท", "70000"),
    ("tha_Thai", "ขั้นที่ ๑: ๕ ขั้นที่ ๒: ๑๐", "10"),
    ("tha_Thai", "#### ๑๘", "18"),
    ("tha_Thai", "เหลือ -3 องศา", "-3"),
    ("tha_Thai", "ไม่ทราบ", None),
    ("tha_Thai", "18ใบ", "18"),
    ("zho_Hans", "答案是18。", "18"),
    ("zho_Hans", "所以答案：１，０８０", "1080"),
    ("zho_Hans", "一共２．５小时", "2.5"),
    ("zho_Hans", "答案：５，因为２＋３＝５", "5"),
    ("zho_Hans", "答案：1,080", "1080"),
    ("zho_Hans", "一共2.5小时", "2.5"),
    ("zho_Hans", "共7万元", "70000"),
    ("zho_Hans", "一共十八个", "18"),
    ("zho_Hans", "答案是二百零五", "205"),
    ("zho_Hans", "#### 18", "18"),
    ("zho_Hans", "第1步：5，第2步：10", "10"),
    ("zho_Hans", "不知道", None),
    ("khm_Khmr", "ចម្លើយគឺ ១៨", "18"),
    ("khm_Khmr", "សរុប ៧០.០០០ រៀល", "70000"),
    ("khm_Khmr", "២,៥ ម៉ោង", "2.5"),
    ("lao_Laoo", "ຄຳຕອບແມ່ນ ໑໘", "18"),
    ("lao_Laoo", "ທັງໝົດ ໗໐.໐໐໐ ກີບ", "70000"),
    ("lao_Laoo", "໒,໕ ຊົ່ວໂມງ", "2.5"),
    ("mya_Mymr", "အဖြေမှာ ၁၈ ဖြစ်သည်", "18"),
    ("mya_Mymr", "စုစုပေါင်း ၇၀,၀၀၀ ကျပ်", "70000"),
    ("mya_Mymr", "၂.၅ နာရီ", "2.5"),
]
FIVE = {"eng_Latn", "ind_Latn", "vie_Latn", "tha_Thai", "zho_Hans"}
SCRIPTS = {"Thai": "๐๑๒๓๔๕๖๗๘๙", "Khmer": "០១២៣៤៥៦៧៨៩", "Lao": "໐໑໒໓໔໕໖໗໘໙", "Burmese": "၀၁၂၃၄၅၆၇၈၉"}


@pytest.mark.parametrize(("language", "response", "m3exam", "seaexam", "vmlu"), OPTIONS)
def test_evals_options_table(language, response, m3exam, seaexam, vmlu):
    assert (m3exam_option(response), seaexam_option(response), vmlu_option(response)) == (m3exam, seaexam, vmlu)


@pytest.mark.parametrize(("language", "response", "value"), NUMBERS)
def test_evals_gsm8k_table(language, response, value):
    wanted = None if value is None else Decimal(value)
    assert answer_number(response, language) == wanted
    item = Item("1", "gsm8k", "generate", language, "?", [], value or "5")
    (mark,) = measure(["number"], [item], [response])
    assert mark.value == (value is not None)


def test_evals_tables_are_large_enough_and_hold_every_script():
    for table in (OPTIONS, NUMBERS):
        assert len({row[:2] for row in table}) >= 60
        assert {row[0] for row in table} >= FIVE
        text = "".join(row[1] for row in table)
        for script, digits in SCRIPTS.items():
            assert set(digits) & set(text), script


@pytest.mark.parametrize("script", list(SCRIPTS))
def test_evals_every_digit_of_a_script_is_read(script):
    digits = SCRIPTS[script]
    assert answer_number(digits[1:], "eng_Latn") == 123456789
    assert answer_number(digits[::-1], "eng_Latn") == 9876543210
