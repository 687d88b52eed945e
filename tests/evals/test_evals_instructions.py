"""IFEval's checkers: the reference implementation's recorded verdicts, and cases in every script family."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sampan.artifacts.items import Item
from sampan.core.errors import InputError
from sampan.evals.instructions import CHECKERS, follows, related
from sampan.evals.metrics import measure

RECORDED = json.loads((Path(__file__).parent / "ifeval_reference.json").read_text("utf-8"))
# Where we differ on purpose: its untrained Punkt takes "P.P.S." for a sentence's end, and langdetect calls "Sure!"
# French.
DIFFERENT = {
    ("length_constraints:number_sentences", "One P.P.S here.\n\nP.P.S. and there"),
    ("language:response_language", 'Sure!\n\n{"b": [1, 2]}'),
}


@pytest.mark.parametrize("loose", [False, True])
def test_evals_instructions_agree_with_the_reference(loose):
    """29 instructions × 23 answers, verdicts recorded from lm-evaluation-harness 0.4.13's ifeval task."""
    count = 0
    for row in RECORDED["verdicts"]:
        for answer, verdict in zip(RECORDED["answers"], row["loose" if loose else "strict"], strict=True):
            if (row["kind"], answer) not in DIFFERENT:
                (found,) = follows([row["kind"]], [row["arguments"]], answer, "eng_Latn", loose=loose)
                assert found == (verdict == "1"), (row["kind"], row["arguments"], answer)
                count += 1
    assert count > 600
    assert {row["kind"] for row in RECORDED["verdicts"]} == set(CHECKERS)


SCRIPTS = [
    # Thai and Lao: no blanks, no sentence ends
    ("tha_Thai", "length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "ฉันไปโรงเรียน", True),
    ("tha_Thai", "length_constraints:number_words", {"num_words": 9, "relation": "at least"}, "ฉันไปโรงเรียน", False),
    (
        "tha_Thai",
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "exactly"},
        "ฝนตก แดดออก",
        True,
    ),
    ("tha_Thai", "keywords:forbidden_words", {"forbidden_words": ["โรงเรียน"]}, "ฉันไปโรงเรียน", False),
    ("tha_Thai", "keywords:frequency", {"keyword": "ไป", "frequency": 2, "relation": "at least"}, "ไปๆมาๆ แล้วไป", True),
    ("tha_Thai", "detectable_content:postscript", {"postscript_marker": "ป.ล."}, "สวัสดี\nป.ล. รัก", True),
    ("lao_Laoo", "length_constraints:number_words", {"num_words": 2, "relation": "at least"}, "ຂ້ອຍໄປໂຮງຮຽນ", True),
    ("lao_Laoo", "keywords:existence", {"keywords": ["ໂຮງຮຽນ"]}, "ຂ້ອຍໄປໂຮງຮຽນ", True),
    ("lao_Laoo", "keywords:forbidden_words", {"forbidden_words": ["ໂຮງຮຽນ"]}, "ຂ້ອຍໄປໂຮງຮຽນ", False),
    ("lao_Laoo", "language:response_language", {"language": "lo"}, "ຂ້ອຍໄປໂຮງຮຽນທຸກມື້", True),
    # Khmer
    (
        "khm_Khmr",
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "exactly"},
        "ខ្ញុំទៅ។ គាត់មក។",
        True,
    ),
    ("khm_Khmr", "keywords:forbidden_words", {"forbidden_words": ["ទៅ"]}, "ខ្ញុំទៅសាលា", False),
    ("khm_Khmr", "language:response_language", {"language": "km"}, "ខ្ញុំទៅសាលារៀនរាល់ថ្ងៃ", True),
    ("khm_Khmr", "language:response_language", {"language": "th"}, "ខ្ញុំទៅសាលារៀនរាល់ថ្ងៃ", False),
    # Burmese
    (
        "mya_Mymr",
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "at least"},
        "ငါသွားတယ်။ သူလာတယ်။",
        True,
    ),
    ("mya_Mymr", "keywords:existence", {"keywords": ["သွား"]}, "ငါသွားတယ်", True),
    ("mya_Mymr", "punctuation:no_comma", {}, "တစ်၊ နှစ်", False),
    ("mya_Mymr", "length_constraints:number_words", {"num_words": 40, "relation": "less than"}, "ငါသွားတယ်။", True),
    # Tamil: spaced, marks inside words
    (
        "tam_Taml",
        "length_constraints:number_words",
        {"num_words": 3, "relation": "exactly"},
        "நான் பள்ளிக்கு செல்கிறேன்",
        True,
    ),
    ("tam_Taml", "length_constraints:number_sentences", {"num_sentences": 2, "relation": "exactly"}, "வா. போ.", True),
    ("tam_Taml", "keywords:existence", {"keywords": ["பள்ளி"]}, "நான் பள்ளிக்கு செல்கிறேன்", True),
    ("tam_Taml", "language:response_language", {"language": "ta"}, "நான் பள்ளிக்கு செல்கிறேன்", True),
    # Han
    (
        "zho_Hans",
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "exactly"},
        "我去。他来！",
        True,
    ),
    ("zho_Hans", "length_constraints:number_words", {"num_words": 2, "relation": "at least"}, "我们去学校", True),
    ("zho_Hans", "punctuation:no_comma", {}, "我，你", False),
    (
        "zho_Hans",
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "其次"},
        "首先来。\n\n其次去。",
        True,
    ),
    # Latin with marks
    (
        "vie_Latn",
        "length_constraints:number_words",
        {"num_words": 4, "relation": "exactly"},
        "Tôi đi đến trường.",
        True,
    ),
    ("vie_Latn", "keywords:forbidden_words", {"forbidden_words": ["đi"]}, "Tôi ĐI học", False),
    (
        "ind_Latn",
        "language:response_language",
        {"language": "id"},
        "Mereka pergi ke sekolah setiap hari karena ingin belajar",
        True,
    ),
    (
        "ind_Latn",
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "exactly"},
        "Saya pergi. Dia datang.",
        True,
    ),
]


@pytest.mark.parametrize(("language", "kind", "arguments", "text", "right"), SCRIPTS)
def test_evals_instructions_in_every_script(language, kind, arguments, text, right):
    assert follows([kind], [arguments], text, language) == [right]


def test_evals_loose_forgives_an_introduction():
    text = "Here you are:\n<<T>>\n[one]"
    kinds, arguments = ["startend:end_checker"], [{"end_phrase": "<<T>>"}]
    assert follows(kinds, arguments, text, "eng_Latn") == [False]
    assert follows(kinds, arguments, text, "eng_Latn", loose=True) == [True]


def test_evals_empty_answer_follows_nothing():
    assert follows(["punctuation:no_comma"], [{}], " ", "eng_Latn") == [False]


def test_evals_instruction_errors_are_clear():
    with pytest.raises(InputError, match="Did you mean 'punctuation:no_comma'"):
        follows(["punctuation:no_coma"], [{}], "x", "eng_Latn")
    with pytest.raises(InputError, match="lacks its argument 'num_words'"):
        follows(["length_constraints:number_words"], [{"relation": "at least"}], "x", "eng_Latn")
    with pytest.raises(InputError, match="not one of"):
        related(1, "at most", 2)


def test_evals_ifeval_has_the_published_four():
    item = Item("1", "ifeval", "generate", "eng_Latn", "?", meta={
        "instruction_id_list": ["punctuation:no_comma", "detectable_format:title"], "kwargs": [{}, {}],
    })  # fmt: skip
    marks = {mark.metric: mark.value for mark in measure(["ifeval"], [item, item], ["no", "<<T>> no"])}
    assert marks == {
        "prompt_strict_accuracy": 0.5,
        "instruction_strict_accuracy": 0.75,
        "prompt_loose_accuracy": 0.5,
        "instruction_loose_accuracy": 0.75,
    }
