"""SEA-IFEval's rules, where they differ from IFEval's, in Latin, Thai, Lao, Khmer, Burmese and Tamil."""

from __future__ import annotations

import pytest

from sampan.core.errors import InputError
from sampan.evals.sea_instructions import CHECKERS, OPTIONS, follows, passes

CASES = [
    ("ind_Latn", "number_words", {"num_words": 3, "relation": "exactly"}, "Saya pergi-pergi", True),
    ("tha_Thai", "number_words", {"num_words": 3, "relation": "exactly"}, "ฉันไป", None),
    ("tha_Thai", "number_sentences", {"num_sentences": 2, "relation": "exactly"}, "***ฝนตก***แดดออก***", True),
    ("tha_Thai", "number_sentences", {"num_sentences": "3", "relation": "less than"}, "ฝนตก", True),
    ("vie_Latn", "number_paragraphs", {"num_paragraphs": 2}, "Một\n***\n\n***\nHai", True),
    ("vie_Latn", "number_placeholders", {"num_placeholders": 2}, "[tên] []", False),
    ("tha_Thai", "postscript", {"postscript_marker": "ป.ล."}, "สวัสดี\nป. ล. รัก", True),
    ("tha_Thai", "postscript", {"postscript_marker": "ป.ป.ล."}, "ป.ล. รัก", False),
    ("lao_Laoo", "postscript", {"postscript_marker": "ປ.ລ."}, "ສະບາຍດີ ປ.ລ. ຮັກ", True),
    ("tam_Taml", "postscript", {"postscript_marker": "பி.கு."}, "வணக்கம் பி.கு. அன்பு", True),
    ("ind_Latn", "number_bullet_lists", {"num_bullets": 2}, "* satu\n- **dua**\n*bukan*\n-bukan", True),
    ("ind_Latn", "multiple_sections", {"section_title": "Bagian", "num_sections": 2}, "Bagian 1 a Bagian B b", True),
    ("ind_Latn", "multiple_sections", {"section_title": "Bagian", "num_sections": 1}, "Bagian1", False),
    ("mya_Mymr", "number_highlighted_sections", {"num_highlights": 2}, "*က* **ခ**", True),
    ("khm_Khmr", "number_highlighted_sections", {"num_highlights": 1}, "* *", False),
    ("khm_Khmr", "json_format", {}, '```json\n{"ក": 1}\n```', True),
    ("khm_Khmr", "json_format", {}, 'នេះ៖ {"ក": 1}', False),
    ("lao_Laoo", "json_format", {}, '{"ກ": [1]}', True),
    ("khm_Khmr", "constrained_response", {}, "ខ្ញុំយល់ស្រប។ ព្រោះ", True),
    ("mya_Mymr", "constrained_response", {}, OPTIONS["mya_Mymr"][1], True),
    ("mya_Mymr", "constrained_response", {}, "My answer is no.", False),
    ("tam_Taml", "constrained_response", {}, OPTIONS["tam_Taml"][0], True),
    ("tha_Thai", "title", {}, "<<บทกวี>>\nแดด", True),
    ("tha_Thai", "title", {}, "<< >>", False),
    ("tgl_Latn", "first_word", {"first_word": "Oo"}, " oo nga", True),
    ("tgl_Latn", "end_checker", {"end_phrase": "Salamat."}, "Tapos na. salamat.\n", True),
    ("mya_Mymr", "quotation", {}, '"က"', True),
    ("mya_Mymr", "quotation", {}, '""', False),
    ("ind_Latn", "existence", {"keywords": ["kota"]}, "Kota itu", True),
    ("ind_Latn", "existence", {"keywords": ["kota"]}, "perkotaan", False),
    ("tha_Thai", "existence", {"keywords": ["โรงเรียน"]}, "ฉันไปโรงเรียน", True),
    ("khm_Khmr", "forbidden_words", {"forbidden_words": ["សាលា"]}, "ខ្ញុំទៅសាលារៀន", False),
    ("lao_Laoo", "forbidden_words", {"forbidden_words": ["ໂຮງຮຽນ"]}, "ຂ້ອຍໄປຕະຫຼາດ", True),
    ("lao_Laoo", "frequency", {"keyword": "ໄປ", "relation": "exactly", "frequency": 2}, "ໄປໆ ໄປ", True),
    ("tam_Taml", "frequency", {"keyword": "நான்", "relation": "less than", "frequency": 2}, "நான் நான்", False),
    ("vie_Latn", "number_frequency", {"number": "7", "relation": "at least", "frequency": 2}, "7 và 17", True),
    ("jav_Latn", "repeat_prompt", {"prompt_to_repeat": "Apa iki?"}, "apa iki? Iki omah.", True),
    ("jav_Latn", "repeat_prompt", {"prompt_to_repeat": "Apa iki?"}, "Apa iki?", False),
    ("khm_Khmr", "two_responses", {}, "មួយ******ពីរ", True),
    ("tam_Taml", "two_responses", {}, "ஒன்று******...", False),
    ("tha_Thai", "response_language", {"response_language": "vi"}, "Tôi đi học mỗi ngày ở trường.", True),
    ("tha_Thai", "response_language", {"response_language": "vi"}, "ฉันไปโรงเรียนทุกวัน", False),
]


@pytest.mark.parametrize(("language", "kind", "arguments", "text", "right"), CASES)
def test_evals_sea_instructions(language, kind, arguments, text, right):
    assert follows(f"group:{kind}", arguments, text, language) is right


def test_evals_sea_instructions_are_all_tried():
    assert {kind for _, kind, *_ in CASES} == set(CHECKERS)
    assert len(CHECKERS) == 21
    scripts = ("tha_Thai", "lao_Laoo", "khm_Khmr", "mya_Mymr", "tam_Taml", "ind_Latn")
    assert all(sum(case[0] == language for case in CASES) >= 4 for language in scripts)


def test_evals_sea_instruction_must_be_in_the_language():
    thai, english = (
        "<<บทกวี>>\nฉันไปโรงเรียนทุกวัน",
        "<<A poem>>\nThe children of the village walk to school together every day.",
    )
    assert passes("title", {}, thai, "tha_Thai", "th") is True
    assert passes("title", {}, english, "tha_Thai", "th") is False
    asked = {"response_language": "en"}
    assert passes("language:response_language", asked, english, "tha_Thai", "th") is True


def test_evals_sea_instruction_errors_are_clear():
    with pytest.raises(InputError, match="Did you mean 'title'"):
        follows("titel", {}, "x", "tha_Thai")
    with pytest.raises(InputError, match="lacks its argument 'num_bullets'"):
        follows("number_bullet_lists", {}, "x", "tha_Thai")
    with pytest.raises(InputError, match="no constrained answers"):
        follows("constrained_response", {}, "x", "zho_Hans")
