"""Formats of national id numbers: what they look like, which digits must agree, and where they are looked for.

A format with a checksum or letters is telling by itself; a bare run of digits counts only in the languages of its
country, and where it has neither checksum nor date only after a word that names the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import regex

from .number_runs import matches_near


@dataclass(frozen=True)
class Format:
    """One kind of number. `pattern` sees ASCII digits; its group `id`, or all of it, is what `valid` gets bare of
    blanks and hyphens."""

    name: str
    pattern: regex.Pattern
    valid: Callable[[str], bool]
    languages: tuple[str, ...] = ()
    """Languages in whose texts it is looked for; () for all."""
    before: int = -1
    """Characters before its run of digits (see `number_runs`) at which a match begins at most; -1 if the digits may be
    fewer than those of a run."""


def national_ids(text: str, language: str, runs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans of id numbers in `text`, whose digits are ASCII ones (see `pii.ascii_digits`) and whose `number_runs` are
    `runs`."""
    for form in FORMATS:
        if form.languages and language not in form.languages:
            continue
        group = "id" if "id" in form.pattern.groupindex else 0
        near = form.pattern.finditer(text) if form.before < 0 else matches_near(form.pattern, text, runs, form.before)
        for match in near:
            if form.valid(regex.sub(r"[\s\-‐‑–]", "", match[group])):
                yield match.span(group)


def _thai(digits: str) -> bool:
    """Thirteen digits, the last of which makes the weighted sum a multiple of 11."""
    total = sum(int(digit) * (13 - place) for place, digit in enumerate(digits[:12]))
    return digits[0] in "12345678" and (11 - total % 11) % 10 == int(digits[12])


def _date(day: int, month: int) -> bool:
    return 1 <= day <= 31 and 1 <= month <= 12


def _nik(digits: str) -> bool:
    """Indonesia: province, regency, district, day (40 more for women), month, year, serial number."""
    day = int(digits[6:8])
    return 11 <= int(digits[:2]) <= 97 and _date(day - 40 if day > 40 else day, int(digits[8:10])) and digits[12:] > "0"


def _mykad(digits: str) -> bool:
    """Malaysia: year, month, day, place of birth."""
    place = int(digits[6:8])
    unused = place in (0, 17, 18, 19, 20, 69, 70, 73, 80, 81, 94, 95, 96, 97)
    return _date(int(digits[4:6]), int(digits[2:4])) and not unused


def _nric(text: str) -> bool:
    """Singapore: the last letter is that of the weighted sum, by the first letter."""
    total = sum(int(digit) * weight for digit, weight in zip(text[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
    total += {"T": 4, "G": 4, "M": 3}.get(text[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "KLJNPQRTUWX"}.get(text[0], "XWUTRQPNMLK")
    place = total % 11
    return text[8] == (letters[10 - place] if text[0] == "M" else letters[place])


def _vietnamese(digits: str) -> bool:
    """Province 001 to 096, then century and sex, year of birth, serial number."""
    return 1 <= int(digits[:3]) <= 96 and int(digits[3]) <= 3


_TIMES = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
"""The group of a pentagon's symmetries, over which Verhoeff's checksum (1969) multiplies."""
_TURN = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _verhoeff(digits: str) -> bool:
    """India's Aadhaar: twelve digits whose product is the identity."""
    check = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        for _ in range(place % 8):
            digit = _TURN[digit]
        check = _TIMES[check][digit]
    return digits[0] > "1" and len(set(digits)) > 1 and check == 0


def _chinese(text: str) -> bool:
    """Eighteen characters: region, date of birth, serial number, checksum modulo 11 (GB 11643)."""
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(text[:17]))
    return _date(int(text[12:14]), int(text[10:12])) and "10X98765432"[total % 11] == text[17].upper()


def _always(text: str) -> bool:
    return True


def _form(name: str, pattern: str, valid: Callable[[str], bool], *languages: str, before: int = 1) -> Format:
    form = regex.compile(rf"(?<![A-Za-z\d_.\-/+])(?:{pattern})(?![A-Za-z\d_]|[\-.]\d)")
    return Format(name, form, valid, languages, before)


def _named(name: str, words: str, pattern: str, *languages: str, before: int = 48) -> Format:
    """A number without a checksum, after one of the words that name it."""
    form = regex.compile(rf"(?:{words})[^\d\n]{{0,24}}(?P<id>{pattern})(?!\d)", regex.IGNORECASE)
    return Format(name, form, _always, languages, before)


# A township's letters, then the kind of citizen in brackets.
_TOWNSHIP = r"[\u1000-\u109F]{2,24} ?\((?:နိုင်|ဧည့်|ပြု|စ|သ|သီ|န|ဧ|ပ)\)"
_LATIN_TOWNSHIP = r"[A-Za-z]{3,12} ?\((?:N|E|P|T|C|Naing|AC|NC|V|M)\)"
_PHILSYS = r"\bPhilSys\b|\bPhilID\b|\bPCN\b|\bPSN\b|National ID"

FORMATS = (
    _form("thai_id", r"\d-\d{4}-\d{5}-\d{2}-\d", _thai),
    _form("thai_id", r"\d \d{4} \d{5} \d{2} \d|\d{13}", _thai, "tha_Thai"),
    _form("nik", r"\d{16}", _nik, "ind_Latn", "jav_Latn", "sun_Latn"),
    _form("mykad", r"\d{6}-\d{2}-\d{4}", _mykad),
    _form("mykad", r"\d{12}", _mykad, "msa_Latn"),
    _form("nric", r"[STFGM]\d{7}[A-Z]", _nric),
    _form("aadhaar", r"\d{4}[ -]\d{4}[ -]\d{4}", _verhoeff, "tam_Taml", "eng_Latn"),
    _form("aadhaar", r"\d{12}", _verhoeff, "tam_Taml"),
    _form("sri_lankan_nic", r"\d{9}[VvXx]", _always, "tam_Taml", "eng_Latn"),
    _form("cccd", r"\d{12}", _vietnamese, "vie_Latn"),
    _form("chinese_id", r"[1-9]\d{16}[\dXx]", _chinese),
    _form("myanmar_nrc", rf"\d{{1,2}} ?/ ?(?:{_TOWNSHIP}|{_LATIN_TOWNSHIP}) ?\d{{6}}", _always, before=-1),
    _form("philippine_sss", r"\d{2}-\d{7}-\d", _always, "tgl_Latn", "eng_Latn"),
    _named("philippine_tin", r"\bTIN\b", r"\d{3}-?\d{3}-?\d{3}(?:-?\d{3,5})?", "tgl_Latn", "eng_Latn"),
    _named("philsys", _PHILSYS, r"\d{4}-?\d{4}-?\d{4}(?:-?\d{4})?", "tgl_Latn", "eng_Latn"),
    _named("khmer_id", "អត្តសញ្ញាណប័ណ្ណ|អត្តសញ្ញាណបណ្ណ|អត្តសញ្ញាណ", r"\d{9}(?:\(\d{2}\))?", "khm_Khmr"),
    _named("lao_id", "ບັດປະຈຳຕົວ|ບັດປະຈໍາຕົວ", r"\d{2,4}(?:[ -]?\d{2,7}){1,3}", "lao_Laoo", before=-1),
    _named("vietnamese_id", r"\bCMND\b|\bCMT\b|\bCCCD\b|chứng minh nhân dân|căn cước", r"\d{9}(?:\d{3})?", "vie_Latn"),
)
