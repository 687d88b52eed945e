"""Personal data of every kind and country, in every digit, is found; numbers that only look like it are not."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ordinary_text import KEPT

from sampan.artifacts.documents import Document, read_documents
from sampan.corpus.clean import Params
from sampan.corpus.cleaning import Cleaner
from sampan.corpus.national_ids import _chinese, _nric, _thai, _verhoeff
from sampan.corpus.pii import KINDS, PLACEHOLDERS, ascii_digits, find_personal_data, replace_spans
from sampan.lang.profile import languages

DIGITS = {"tha_Thai": "๐", "lao_Laoo": "໐", "khm_Khmr": "០", "mya_Mymr": "၀", "tam_Taml": "௦"}
# Numbers made up for these tests, with right checksums.
FOUND = [
    ("eng_Latn", "email", "siti.a+b@kampung.example.my"),
    ("tha_Thai", "email", "somchai@mail.go.th"),
    ("eng_Latn", "ip", "203.113.130.44"),
    ("vie_Latn", "ip", "2405:4800:52a1:9::17"),
    ("eng_Latn", "phone", "+65 6123 4567"),
    ("eng_Latn", "phone", "+62-812-3456-7890"),
    ("tha_Thai", "phone", "081-234-5678"),
    ("tha_Thai", "phone", "02 123 4567"),
    ("lao_Laoo", "phone", "020 5555 1234"),
    ("khm_Khmr", "phone", "012 345 678"),
    ("mya_Mymr", "phone", "09 450 123 456"),
    ("vie_Latn", "phone", "0912.345.678"),
    ("ind_Latn", "phone", "0812-3456-7890"),
    ("jav_Latn", "phone", "081234567890"),
    ("msa_Latn", "phone", "012-345 6789"),
    ("tgl_Latn", "phone", "0917 123 4567"),
    ("tam_Taml", "phone", "98765 43210"),
    ("zho_Hans", "phone", "13812345678"),
    ("tha_Thai", "national_id", "1-1037-02071-81-1"),
    ("tha_Thai", "national_id", "1103702071811"),
    ("ind_Latn", "national_id", "3273014503850001"),
    ("msa_Latn", "national_id", "850314-14-5678"),
    ("msa_Latn", "national_id", "850314145678"),
    ("eng_Latn", "national_id", "S1234567D"),
    ("tam_Taml", "national_id", "2341 2341 2346"),
    ("vie_Latn", "national_id", "079085001234"),
    ("zho_Hans", "national_id", "11010519491231002X"),
    ("mya_Mymr", "national_id", "12/ကမန(နိုင်)123456"),
    ("eng_Latn", "national_id", "12/KaMaNa(N)123456"),
    ("tgl_Latn", "national_id", "34-1234567-8"),
]
NAMED = [
    ("eng_Latn", "phone", "Call 555-0134-22 now", "555-0134-22"),
    ("eng_Latn", "phone", "Call 910.538.0115.", "910.538.0115"),
    ("eng_Latn", "phone", "please call 1-800-555-1234", "1-800-555-1234"),
    ("eng_Latn", "phone", "mobile 555-123-2019", "555-123-2019"),
    ("vie_Latn", "phone", "+84.912345678", "+84.912345678"),
    ("zho_Hans", "phone", "联系电话：6552 9988。", "6552 9988"),
    ("tgl_Latn", "national_id", "TIN: 123-456-789-000", "123-456-789-000"),
    ("tgl_Latn", "national_id", "PhilSys No. 1234-5678-9012-3456", "1234-5678-9012-3456"),
    ("khm_Khmr", "national_id", "អត្តសញ្ញាណប័ណ្ណលេខ ០១០៣៤៥៦៧៨", "០១០៣៤៥៦៧៨"),
    ("lao_Laoo", "national_id", "ບັດປະຈຳຕົວເລກທີ 01-0234567", "01-0234567"),
    ("vie_Latn", "national_id", "số CMND 012345678", "012345678"),
]
NOTHING = [
    ("eng_Latn", "The temple was founded in 1432 and rebuilt in 1998-2004; 1,250,000 people came."),
    ("eng_Latn", "ISBN 978-3-16-148410-0, order 1234567890123456, version 10.2.3, 192.168.1.20 and 127.0.0.1"),
    ("vie_Latn", "Nhà xuất bản, ISBN 0912345678. Năm 2005, 15.000.000 đồng."),
    ("ind_Latn", "Harga Rp 1.250.000 sampai Rp 12.500.000 pada 12/03/2019, pukul 08.30."),
    ("tha_Thai", "พ.ศ. 2565 งบประมาณ 1,234,567,890 บาท เลขที่ 1103702071812"),
    ("tam_Taml", "2341 2341 2340 என்பது எண் அல்ல; 1947-2022"),
    ("eng_Latn", "S1234567A is no id; a+b@c is no address; @user and user@localhost; 12:30:45; ::1; 8.8.8.8"),
    ("eng_Latn", "at +13.756331, +100.501765; call for papers; call 2020-2021 members; mobile 2020 2019 2018 sales"),
    ("eng_Latn", "phone 11 2019 256 512 GB; line 1 234 567 890; call 100 200 300; Tel 2019-2020; fax 1998 1999"),
    ("eng_Latn", "section 12.3.4.5, SailfishOS-5.0.0.62, version 110.120.130.4, 1:2:3:4:5:6:7:8, 12::30 and abc::def"),
    ("eng_Latn", "user@host.local, icon@2x.png, git@github.com:team/boat.git"),
    ("vie_Latn", "Ông gọi 1900 1990 2000 là ba mốc."),
    ("lao_Laoo", "ປີ 2019 256 512 ແລະ 2018-2019"),
    ("zho_Hans", "2023年收入123456789元，编号110105194912310021。"),
    ("mya_Mymr", "၂၀၂၁ ခုနှစ် ဖေဖော်ဝါရီ ၁ ရက်၊ ၅၄၃၂၁၀၀၀ ကျပ်"),
]


def local_digits(text, code):
    zero = ord(DIGITS[code])
    return "".join(chr(zero + int(char)) if char.isascii() and char.isdigit() else char for char in text)


@pytest.mark.parametrize(("code", "kind", "value"), FOUND)
def test_each_format_is_found_alone_and_inside_text(code, kind, value):
    glue = "" if kind == "email" and code == "tha_Thai" else " "
    text = f"{KEPT[code][0]}{glue}{value}{glue}{KEPT[code][1]}"
    found = find_personal_data(text, code)
    assert [(span.kind, text[span.start : span.end]) for span in found] == [(kind, value)]
    assert replace_spans(text, found) == text.replace(value, PLACEHOLDERS[kind])


@pytest.mark.parametrize(("code", "kind", "value"), [row for row in FOUND if row[0] in DIGITS and row[1] in KINDS[2:]])
def test_the_digits_of_every_script_count(code, kind, value):
    text = f"{KEPT[code][0]} {local_digits(value, code)} {KEPT[code][1]}"
    assert [(span.kind, text[span.start : span.end]) for span in find_personal_data(text, code)] == [
        (kind, local_digits(value, code))
    ]


@pytest.mark.parametrize(("code", "kind", "text", "value"), NAMED)
def test_numbers_that_a_word_names_are_found(code, kind, text, value):
    assert [(span.kind, text[span.start : span.end]) for span in find_personal_data(text, code)] == [(kind, value)]


@pytest.mark.parametrize(("code", "text"), NOTHING)
def test_other_numbers_stay(code, text):
    assert find_personal_data(text, code) == []


def test_ordinary_text_has_no_personal_data():
    for code, texts in KEPT.items():
        for text in texts:
            assert find_personal_data(text, code) == []


@pytest.mark.parametrize(
    ("valid", "number"),
    [(_thai, "1103702071811"), (_verhoeff, "234123412346"), (_chinese, "11010519491231002X"), (_nric, "S1234567D")],
)
def test_checksums_find_a_wrong_digit(valid, number):
    """Any single one; but the Thai checksum weighs its third digit with 11, and two remainders share a digit."""
    assert valid(number)
    last = len(number) - (number[-1].isalpha())
    for place in range(number[0].isalpha(), last):
        for digit in "0123456789":
            wrong = number[:place] + digit + number[place + 1 :]
            blind = valid is _thai and (place == 2 or number[-1] in "01")
            assert valid(wrong) == (wrong == number) or blind


def test_singapore_letters_by_first_letter():
    for number in ("S1234567D", "T1234567J", "F1234567N", "G1234567X", "M1234567K"):
        assert _nric(number)
        assert not _nric(number[:-1] + "A")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.sampled_from(languages()), st.randoms(use_true_random=False))
def test_replacing_again_changes_nothing(text, code, rng: random.Random):
    text += " " + rng.choice([row[2] for row in FOUND]) + " " + text[::-1]
    once = replace_spans(text, find_personal_data(text, code))
    assert replace_spans(once, find_personal_data(once, code)) == once


@given(st.text())
def test_ascii_digits_moves_nothing(text):
    assert len(ascii_digits(text)) == len(text)
    assert not any(char.isdecimal() and not char.isascii() for char in ascii_digits(text))


def test_digits_newer_than_this_python_are_no_error():
    assert ascii_digits("๑\U00016d70") in ("1\U00016d70", "10")


def test_keep_replace_and_drop(tmp_path, run_stage):
    text = f"{KEPT['eng_Latn'][0]} Write to captain@feri-kampung.my or +65 6123 4567, 203.113.130.44."
    for pii, reason in (("keep", ""), ("drop", "personal_data"), ("replace", "")):
        document, given_reason = Cleaner(Params(pii=pii))(Document("1", text, language="eng_Latn"))
        assert given_reason == reason
        assert ("[EMAIL]" in document.text) == (pii == "replace")
    only = Cleaner(Params(pii_kinds=["email"]))(Document("1", text, language="eng_Latn"))[0].text
    assert "[EMAIL]" in only
    assert "6123" in only
    (tmp_path / "in.jsonl").write_text('{"text": "' + text + '", "language": "eng_Latn"}\n')
    metrics, made = run_stage("corpus.clean", {}, {"documents": [tmp_path / "in.jsonl"]})
    assert metrics["personal_data"] == {"email": 1, "ip": 1, "phone": 1}
    assert next(read_documents(made)).text.endswith("Write to [EMAIL] or [PHONE], [IP].")


def test_hostile_text_takes_no_time():
    """Long runs of what patterns start with, which a careless pattern would try from every place on."""
    for piece in ("a@", "1-", "1.", "a.", "+1 ", "tel ", "12/က", "1:", "@", "("):
        find_personal_data(piece * (200_000 // len(piece)), "eng_Latn")
    assert len(find_personal_data("0812-3456-7890\n" * 20_000, "ind_Latn")) == 20_000
