"""Numbers in answers, read as the language writes them.

Where `answers.last_number` gives every reading a number can have (and so marks mildly), this module decides: `1.500` is
fifteen hundred in Indonesian and one and a half in English. Separators are those of Unicode's CLDR. A mark that the
language uses for neither purpose in that place is read by its shape: `1,000` in Indonesian groups three digits once,
which there is a decimal comma, but `1,000,000` can only be grouped.

The answer is the first number after the last "answer:" (GSM8K's `####`, or the language's own words), or, without
those words, the last number of all: the rule of GSM8K (arXiv:2110.14168) and MGSM (arXiv:2210.03057).
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_COMMA_DECIMALS = frozenset({"ind_Latn", "jav_Latn", "khm_Khmr", "lao_Laoo", "sun_Latn", "vie_Latn"})
"""Languages that write 1.234,5 (CLDR's id, jv, km, lo, su, vi); the others write 1,234.5."""
_CUES = {
    "eng_Latn": ("final answer", "answer is", "answer:"),
    "ind_Latn": ("jawaban akhir", "jawabannya adalah", "jawaban:", "jawaban adalah", "jadi jawabannya"),
    "jav_Latn": ("wangsulan:", "jawaban:", "jawabane"),
    "khm_Khmr": ("ចម្លើយ",),
    "lao_Laoo": ("ຄຳຕອບ", "ຄໍາຕອບ"),
    "msa_Latn": ("jawapan akhir", "jawapannya ialah", "jawapan ialah", "jawapan:"),
    "mya_Mymr": ("အဖြေ",),
    "sun_Latn": ("jawaban:", "waleran:", "jawabanana"),
    "tam_Taml": ("பதில்", "விடை"),
    "tgl_Latn": ("sagot ay", "sagot:"),
    "tha_Thai": ("คำตอบ",),
    "vie_Latn": ("đáp án", "câu trả lời", "đáp số"),
    "zho_Hans": ("答案",),
}
_BLANKS = "\u00a0\u2009\u202f"
_NUMBER = re.compile(rf"(?:(?<![\w])[-−])?\d(?:[\d.,٫٬'{_BLANKS}]*\d)?")
_SPACED = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d])")
_WIDE_GROUP = re.compile("(?<=[０-９])，(?=[０-９]{3}(?![０-９]))")
_WIDE_POINT = re.compile("(?<=[０-９])．(?=[０-９])")
_HAN = re.compile("[零〇一二两三四五六七八九十百千万亿点]+")
_HAN_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_HAN_UNITS = {"十": 10, "百": 100, "千": 1000}
_HAN_MYRIADS = {"万": 10**4, "亿": 10**8}


def answer_number(text: str, language: str) -> Decimal | None:
    """The number that a worked answer in `language` (a code like tha_Thai) gives, None if it has none."""
    after = _after_cue(text, language)
    if after is not None:
        found = numbers(after.split("\n", 1)[0], language) or numbers(after, language)
        if found:
            return found[0]
    found = numbers(text, language)
    return found[-1] if found else None


def numbers(text: str, language: str) -> list[Decimal]:
    """All numbers in `text`, in order, in digits of any script; Chinese numerals where Chinese text has no digits."""
    text = _WIDE_POINT.sub(".", _WIDE_GROUP.sub(",", text))  # wide marks part numbers only among wide digits
    plain = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)
    if language in _COMMA_DECIMALS:
        plain = _SPACED.sub(lambda match: match[0].replace(" ", ""), plain)
    found = []
    for match in _NUMBER.finditer(plain):
        value = read_number(match[0], language)
        if value is not None:
            if language == "zho_Hans":
                value *= _HAN_MYRIADS.get(plain[match.end() : match.end() + 1], 1)
            found.append(value)
    if not found and language == "zho_Hans":
        found = [value for match in _HAN.finditer(plain) if (value := _han_number(match[0])) is not None]
    return found


def read_number(written: str, language: str) -> Decimal | None:
    """The value of one number in ASCII digits; None if its marks make no number (a date, a version)."""
    sign = -1 if written[0] in "-−" else 1
    bare = re.sub(f"['{_BLANKS}]", "", written.lstrip("-−")).replace("٫", ".").replace("٬", ",")
    decimal = "," if language in _COMMA_DECIMALS else "."
    marks = [char for char in bare if char in ".,"]
    kinds = set(marks)
    if len(kinds) == 2:
        if marks.count(marks[-1]) != 1:
            return None
        decimal = marks[-1]
    elif len(marks) > 1:
        decimal = ""
    elif marks and marks[0] != decimal and not _grouped(bare, marks[0]):
        decimal = marks[0]
    whole, part = bare, ""
    if decimal and decimal in bare:
        whole, _, part = bare.rpartition(decimal)
    group = next((char for char in whole if char in ".,"), "")
    if group and not _grouped(whole, group):
        return None
    return sign * Decimal(re.sub("[.,]", "", whole) + (f".{part}" if part else ""))


def _grouped(whole: str, mark: str) -> bool:
    """Whether every mark parts thousands, or, as in Tamil, hundreds of thousands."""
    first, *rest = whole.split(mark)
    return 1 <= len(first) <= 3 and all(len(part) in (2, 3) for part in rest[:-1]) and len(rest[-1]) == 3


def _after_cue(text: str, language: str) -> str | None:
    """What follows the last cue, None without one."""
    cues = ("####", *_CUES["eng_Latn"], *_CUES.get(language, ()))
    low = text.lower()
    if len(low) != len(text):  # a letter that changes length when lowered: positions would not fit
        low = text
    ends = [place + len(cue) for cue in cues if (place := low.rfind(cue)) >= 0]
    return text[max(ends) :] if ends else None


def _han_number(written: str) -> Decimal | None:
    whole, _, part = written.partition("点")
    if not whole or any(char not in _HAN_DIGITS for char in part):
        return None
    if all(char in _HAN_DIGITS for char in whole):
        value = int("".join(str(_HAN_DIGITS[char]) for char in whole))
    else:
        value = _han_whole(whole)
    fraction = "".join(str(_HAN_DIGITS[char]) for char in part)
    return Decimal(f"{value}.{fraction}" if fraction else value)


def _han_whole(written: str) -> int:
    total = section = digit = 0
    for char in written:
        if char in _HAN_DIGITS:
            digit = _HAN_DIGITS[char]
        elif char in _HAN_UNITS:
            section += (digit or 1) * _HAN_UNITS[char]
            digit = 0
        elif char in _HAN_MYRIADS:
            below = char == "万"  # 三亿五千万: the 万 multiplies only what follows the 亿
            total = total + (section + digit) * 10**4 if below else (total + section + digit) * 10**8
            section = digit = 0
    return total + section + digit
